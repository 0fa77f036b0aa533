import type { Dispatcher } from 'undici';
import type * as undiciModule from 'undici';

import type { TransportFailure } from '../core/byte-source.ts';
import { isLoopbackHost } from '../core/config.ts';
import type { Clock, Send } from '../core/ports.ts';
import type { RunningCall } from './exchange.ts';
import { CALL_CANCELLED, exchange } from './exchange.ts';

/** Bytes of response headers Relay takes: four times Node's own limit. */
const MAX_HEADER_BYTES = 64 * 1024;
/** An idle socket is kept this long: long enough for a client's next turn, shorter than a NAT forgets. */
const KEEP_ALIVE_MS = 30_000;
/** Distinct connect timeouts that may stand at a time; settings change them, not calls. */
const MAX_POOLS = 4;

const NO_ADDRESS: TransportFailure = { kind: 'unreachable', code: 'invalid_call', message: 'The upstream address is not a URL.' };

type Undici = typeof undiciModule;

let undici: Undici | null = null;

/** Loading it takes 70 ms of a start, and few commands call an upstream. */
async function load(): Promise<Undici> {
  undici ??= await import('undici');
  return undici;
}

export interface UpstreamOptions {
  /** Obey HTTP_PROXY, HTTPS_PROXY and NO_PROXY. Loopback addresses are never sent through a proxy. */
  readonly useProxyEnv: boolean;
  readonly clock: Pick<Clock, 'after'>;
  /** PEM certificates to trust instead of the built-in ones, for an upstream with its own authority. */
  readonly trust?: string;
}

/** The way out: one call, once. Neither a retry nor a redirect happens below it. */
export interface Upstream {
  readonly send: Send;
  /** Loads what calls are made with, so that the first one need not wait for it. */
  prepare(): Promise<void>;
  /** Forgets pooled sockets, after sleep or a change of network; calls in flight go on. */
  reset(): void;
  /** Calls under way that bring nothing within `ms` fail as cut: after a long sleep, their connections are most likely dead. */
  expectSigns(ms: number): void;
  /** Ends every connection, also of calls in flight. */
  close(): Promise<void>;
}

/**
 * Opens the way to upstreams over undici's dispatch, in HTTP/1.1, each running call with a socket of its own.
 * Certificates are always verified, whatever NODE_TLS_REJECT_UNAUTHORIZED says.
 */
export function createUpstream(options: UpstreamOptions): Upstream {
  let isClosed = false;
  const pools = new Map<string, Dispatcher>();
  const retiring = new Set<Dispatcher>();
  const running = new Set<RunningCall>();

  const retire = (pool: Dispatcher): void => {
    retiring.add(pool);
    void pool.close().catch(() => {}).then(() => retiring.delete(pool));
  };
  const reset = (): void => {
    for (const pool of pools.values()) retire(pool);
    pools.clear();
  };
  const poolFor = (url: URL, connectMs: number, loaded: Undici): Dispatcher => {
    const way = options.useProxyEnv && !isLoopbackHost(url.hostname) ? 'proxied' : 'direct';
    const key = `${way} ${connectMs}`;
    const known = pools.get(key);
    if (known !== undefined) return known;
    if (pools.size >= MAX_POOLS) reset();
    const made = openPool(way, { connectMs, trust: options.trust, loaded });
    pools.set(key, made);
    return made;
  };

  return {
    async send(call, signal) {
      const url = URL.parse(call.url);
      if (url === null) return { ok: false, failure: NO_ADDRESS, phase: 'connect' };
      const loaded = undici ?? (await load());
      if (signal.aborted || isClosed) return { ok: false, failure: CALL_CANCELLED, phase: 'connect' };
      return exchange({ call, url, pool: poolFor(url, call.timeouts.connect, loaded), clock: options.clock, signal, running });
    },
    async prepare() {
      await load();
    },
    reset,
    expectSigns(ms) {
      for (const call of running) call.expectSign(ms);
    },
    async close() {
      isClosed = true;
      const all = [...pools.values(), ...retiring];
      pools.clear();
      await Promise.all(all.map((pool) => pool.destroy()));
    },
  };
}

interface PoolSettings {
  readonly connectMs: number;
  readonly trust: string | undefined;
  readonly loaded: Undici;
}

function openPool(way: 'direct' | 'proxied', { connectMs, trust, loaded }: PoolSettings): Dispatcher {
  const tls = { rejectUnauthorized: true, ...(trust !== undefined && { ca: trust }) };
  const settings = {
    connections: null,
    pipelining: 1,
    // Cancelling an HTTP/2 call whose body is being written sends Node's http2 into an endless loop that takes all memory
    // (undici 8.12, Node 22.23, 2026-11). HTTP/1.1 also keeps streams apart: one reset ends one of them.
    allowH2: false,
    maxHeaderSize: MAX_HEADER_BYTES,
    keepAliveTimeout: KEEP_ALIVE_MS,
    keepAliveMaxTimeout: KEEP_ALIVE_MS,
    connectTimeout: connectMs,
    // Node gives an address 250 ms before it tries the next one: too short for a slow link with a dead IPv6.
    autoSelectFamily: true,
    autoSelectFamilyAttemptTimeout: 1_000,
  };
  if (way === 'proxied') return new loaded.EnvHttpProxyAgent({ ...settings, connect: tls, requestTls: tls, proxyTls: { rejectUnauthorized: true } });
  return new loaded.Agent({ ...settings, connect: tls });
}
