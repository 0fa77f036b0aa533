import type { Config } from '../core/config.ts';
import type { Clock, Log, Send } from '../core/ports.ts';
import type { CloseRecord } from '../core/record.ts';
import { MINUTE_MS, SECOND_MS } from '../core/units.ts';
import { sendWhole } from './read-answer.ts';
import type { OtlpSpan } from './otlp-span.ts';
import { toOtlpSpan } from './otlp-span.ts';

export interface SpanExportDeps {
  readonly send: Send;
  readonly settings: () => Config;
  readonly clock: Clock;
  readonly log: Log;
  readonly version: string;
}

/** Hands spans to the user's own collector, behind everybody's back. */
export interface SpanExport {
  /** Takes a finished request; returns at once, and does nothing while no collector is set. */
  add(record: CloseRecord): void;
  /** Sends what waits, once more and for a bounded time, then stops. */
  close(): Promise<void>;
}

/** What waits at most; the oldest give way. */
const MOST_WAITING = 2_048;
const BATCH = 256;
/** A span waits so long for company. */
const GATHER_MS = 2 * SECOND_MS;
const FIRST_RETRY_MS = 5 * SECOND_MS;
const LAST_RETRY_MS = 5 * MINUTE_MS;
const CLOSE_MS = 2 * SECOND_MS;
const TIMEOUTS = { connect: 5 * SECOND_MS, headers: 15 * SECOND_MS, idle: 15 * SECOND_MS };
const ANSWER_BYTES = 65_536;

type Delivery = 'delivered' | 'refused' | 'failed';

/**
 * An exporter over OTLP/HTTP in JSON to `telemetry.otlpEndpoint`, one batch at a time. A collector that does not answer is
 * asked again ever more rarely; what it refuses is dropped. Nothing of it ever reaches a request.
 */
export function createSpanExport(deps: SpanExportDeps): SpanExport {
  const { clock, log } = deps;
  let waiting: OtlpSpan[] = [];
  let dropped = 0;
  let retryMs = FIRST_RETRY_MS;
  let timer: (() => void) | null = null;
  let sending: Promise<void> | null = null;
  /** Told once, until spans are taken again. */
  let isOut = false;
  let closed = false;

  const say = (delivery: Delivery, reason: string): void => {
    if (delivery === 'delivered') {
      if (isOut) log.info('telemetry: the collector takes spans again', { dropped });
      isOut = false;
      dropped = 0;
      return;
    }
    if (!isOut) log.warn('telemetry: spans cannot be delivered; requests are served all the same', { reason });
    isOut = true;
  };
  const sendBatch = async (signal: AbortSignal): Promise<Delivery> => {
    const batch = waiting.slice(0, BATCH);
    const { delivery, reason } = await deliver(batch, deps, signal);
    say(delivery, reason);
    if (delivery === 'failed') return delivery;
    if (delivery === 'refused') dropped += batch.length;
    const sent = new Set(batch);
    waiting = waiting.filter((span) => !sent.has(span));
    return delivery;
  };
  const flush = async (signal: AbortSignal): Promise<void> => {
    while (waiting.length > 0) {
      if ((await sendBatch(signal)) === 'failed') return;
      retryMs = FIRST_RETRY_MS;
    }
  };
  const plan = (ms: number): void => {
    if (timer !== null || sending !== null || closed) return;
    timer = clock.after(ms, () => {
      timer = null;
      sending = flush(AbortSignal.timeout(MINUTE_MS)).finally(() => {
        sending = null;
        if (waiting.length === 0) return;
        plan(retryMs);
        retryMs = Math.min(retryMs * 2, LAST_RETRY_MS);
      });
    });
  };

  return {
    add(record) {
      if (closed || deps.settings().telemetry.otlpEndpoint === undefined) return;
      waiting.push(toOtlpSpan(record));
      if (waiting.length > MOST_WAITING) {
        waiting.shift();
        dropped += 1;
      }
      plan(GATHER_MS);
    },
    async close() {
      closed = true;
      timer?.();
      const ending = new AbortController();
      const cancel = clock.after(CLOSE_MS, () => ending.abort());
      const aborted = new Promise<void>((resolve) => ending.signal.addEventListener('abort', () => resolve(), { once: true }));
      await Promise.race([aborted, (sending ?? Promise.resolve()).then(() => flush(ending.signal))]);
      cancel();
    },
  };
}

async function deliver(spans: readonly OtlpSpan[], { send, settings, version }: SpanExportDeps, signal: AbortSignal): Promise<{ readonly delivery: Delivery; readonly reason: string }> {
  const { otlpEndpoint, headers } = settings().telemetry;
  if (otlpEndpoint === undefined) return { delivery: 'refused', reason: 'telemetry.otlpEndpoint was taken out' };
  const resource = [{ key: 'service.name', value: { stringValue: 'relay' } }, { key: 'service.version', value: { stringValue: version } }];
  const body = JSON.stringify({ resourceSpans: [{ resource: { attributes: resource }, scopeSpans: [{ scope: { name: 'relay', version }, spans }] }] });
  const result = await sendWhole(send, {
    method: 'POST', url: tracesUrl(otlpEndpoint), body: Buffer.from(body), timeouts: TIMEOUTS,
    headers: { ...lowerCased(headers), 'content-type': 'application/json', 'user-agent': `relay/${version}` },
  }, { limitBytes: ANSWER_BYTES, signal });
  if (!result.ok) return { delivery: 'failed', reason: result.failure.code };
  const { status } = result.answer;
  if (status >= 200 && status < 300) return { delivery: 'delivered', reason: '' };
  const isPassing = status === 429 || status === 408 || status >= 500;
  return { delivery: isPassing ? 'failed' : 'refused', reason: `status ${status}` };
}

/** As exporters read OTEL_EXPORTER_OTLP_ENDPOINT: the signal's path is added, unless it is there already. */
function tracesUrl(endpoint: string): string {
  const url = new URL(endpoint);
  if (!url.pathname.endsWith('/v1/traces')) url.pathname = `${url.pathname.replace(/\/$/, '')}/v1/traces`;
  return url.href;
}

function lowerCased(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
}
