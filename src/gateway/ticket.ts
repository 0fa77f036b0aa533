import type { Account } from '../core/account.ts';
import type { RelayError } from '../core/errors.ts';
import { statusToward } from '../core/errors.ts';
import type { Failure, Phase } from '../core/failure.ts';
import type { Clock, Journal, LiveRequest, LiveView, Log } from '../core/ports.ts';
import type { AttemptRecord, CloseRecord, Cost, OpenRecord, Outcome, RouteRecord, TokenCounts } from '../core/record.ts';
import type { ClientWire } from '../core/provider-kind.ts';
import type { RelayRequest } from '../core/relay-request.ts';
import type { EpochMs } from '../core/units.ts';
import type { Seen } from '../wire/passage.ts';
import { machineWord, recordedError } from './recorded-error.ts';

/** How a request ended: on every way out exactly one of these is settled. */
export type AnswerEnd =
  | { readonly kind: 'served' }
  | { readonly kind: 'client-gone' }
  /** By Relay itself, before anything was sent: scope, budget, unknown model, no account. */
  | { readonly kind: 'refused'; readonly error: RelayError }
  /** By the upstream, before or after the commit point. */
  | { readonly kind: 'failed'; readonly error: RelayError };

/** What is read off an ended request to price it. */
export interface Metered {
  readonly seen: Seen;
  readonly account: Account;
  readonly model: string;
  readonly at: EpochMs;
  readonly served: boolean;
  readonly inputBytes: number;
}

/** What an ended request used and cost; `unmetered` says why a whole answer has no tokens. */
export interface MeterReading {
  readonly tokens: TokenCounts | null;
  readonly cost: Cost;
  readonly unmetered?: string;
}

export interface TicketDeps {
  readonly clock: Clock;
  readonly journal: Journal;
  readonly live: LiveView;
  readonly log: Log;
  /** Tokens and cost of an ended request, from what was seen. */
  readonly meter: (metered: Metered) => MeterReading;
}

/** The attempt that is running or served, as the ticket knows it. */
export interface RunningAttempt {
  readonly account: Account;
  readonly model: string;
  readonly seen: Seen;
  readonly startedAt: EpochMs;
}

/**
 * One request from its acceptance to its line in the journal. It gathers the attempts, shows the request live, and
 * settles once: the first end counts, later calls wait for the same line.
 */
export interface Ticket {
  readonly request: RelayRequest;
  readonly attempts: readonly AttemptRecord[];
  /** The model, as sent, and why its account was chosen. */
  route(route: RouteRecord): void;
  drop(parameters: readonly string[]): void;
  /** The wait for a slot is over. */
  admitted(): void;
  /** So many milliseconds more were spent in line, for a slot at an account. */
  waited(ms: number): void;
  /** Budgets hold so much for the request: from its first attempt on it costs its input, whatever becomes of Relay. */
  reserve(tokens: TokenCounts, priceInput: (attempt: RunningAttempt, input: TokenCounts) => Cost): void;
  begin(attempt: RunningAttempt): void;
  /** The attempt is about to be sent. */
  leaves(): void;
  /** The running attempt failed; it stands in the journal, the next may begin. */
  failed(failure: Failure): void;
  firstOutput(): void;
  upstreamRequestId(id: string): void;
  /** Called once with the tokens and cost when the line is about to be written: budgets settle here. */
  onSettle(callback: (result: { readonly record: CloseRecord }) => void): void;
  settle(end: AnswerEnd): Promise<void>;
}

/** Opens a ticket and shows it in the live view. */
export function openTicket(request: RelayRequest, deps: TicketDeps): Ticket {
  const attempts: AttemptRecord[] = [];
  const onSettle: ((result: { readonly record: CloseRecord }) => void)[] = [];
  let route: RouteRecord | null = null;
  let dropped: readonly string[] = [];
  let running: RunningAttempt | null = null;
  let upstreamRequestId: string | null = null;
  let admittedAt: EpochMs | null = null;
  let waitedMs = 0;
  let firstOutputAt: EpochMs | null = null;
  let settled: Promise<void> | null = null;
  let onFirstLeaving: ((attempt: RunningAttempt) => void) | null = null;

  deps.live.begin(request.id, (): LiveRequest => ({
    id: request.id,
    client: request.client.name,
    endpoint: request.endpoint,
    stream: request.stream,
    model: running?.model ?? request.model,
    account: running?.account.name ?? null,
    provider: running?.account.provider ?? null,
    phase: phaseOf({ admittedAt, running, firstOutputAt, settling: settled !== null }),
    attempts: attempts.length + (running === null ? 0 : 1),
    startedAt: request.receivedAt,
    firstOutputAt,
    outputEvents: running?.seen.outputEvents ?? 0,
  }));

  const closeAttempt = (attempt: RunningAttempt, failure: Pick<Failure, 'status' | 'code' | 'phase'> | null, status: number | null): void => {
    attempts.push({
      account: attempt.account.name,
      provider: attempt.account.provider,
      model: attempt.model,
      t: attempt.startedAt,
      ms: Math.max(0, deps.clock.now() - attempt.startedAt),
      status: failure === null ? status : failure.status,
      error: failure === null ? null : machineWord(failure.code),
      phase: failure?.phase ?? 'committed',
    });
  };

  const write = async (end: AnswerEnd): Promise<void> => {
    const now = deps.clock.now();
    const last = running;
    if (last !== null) closeAttempt(last, failureOf(end, phaseReached(last.seen, firstOutputAt)), 200);
    const metered = last === null ? null : deps.meter({
      seen: last.seen, account: last.account, model: last.model, at: now, served: end.kind === 'served', inputBytes: request.bytes.length,
    });
    const record: CloseRecord = {
      v: 1,
      t: now,
      k: 'close',
      id: request.id,
      client: request.client.name,
      member: request.client.member,
      project: request.client.project,
      env: request.client.env,
      endpoint: request.endpoint,
      stream: request.stream,
      model: { asked: request.model === '' ? null : request.model, sent: last?.model ?? attempts.at(-1)?.model ?? null, ran: last?.seen.model ?? null },
      provider: last?.account.provider ?? attempts.at(-1)?.provider ?? null,
      account: last?.account.name ?? attempts.at(-1)?.account ?? null,
      ...statusOf(end, { seen: last?.seen ?? null, hasBegun: firstOutputAt !== null, clientWire: request.clientWire, attempts }),
      attempts,
      tokens: metered?.tokens ?? null,
      ...(metered?.unmetered !== undefined && { unmetered: metered.unmetered }),
      tier: { asked: askedTier(request), served: last?.seen.tier ?? null },
      cost: metered?.cost ?? { list: 0, charged: 0, price: null },
      ms: {
        queue: Math.max(0, (admittedAt ?? now) - request.receivedAt) + waitedMs,
        ttft: firstOutputAt === null ? null : Math.max(0, firstOutputAt - request.receivedAt),
        total: Math.max(0, now - request.receivedAt),
      },
      route,
      upstreamRequestId,
      dropped,
    };
    for (const callback of onSettle) callback({ record });
    try {
      deps.live.finish(request.id, await deps.journal.append(record));
    } catch (error) {
      // The client's answer is not held back for a disk that cannot be written: new requests are refused instead.
      deps.log.error('a request could not be journaled', { id: request.id, reason: error instanceof Error ? error.message : 'unknown' });
      deps.live.finish(request.id, { ...record, seq: 0, h: '' });
    }
  };

  return {
    request,
    attempts,
    route(value) {
      route = value;
    },
    drop(parameters) {
      dropped = parameters;
    },
    admitted() {
      admittedAt ??= deps.clock.now();
    },
    waited(ms) {
      waitedMs += Math.max(0, ms);
    },
    reserve(tokens, priceInput) {
      onFirstLeaving = (attempt) => {
        const record = openRecord(request, attempt, { now: deps.clock.now(), tokens, cost: priceInput(attempt, { ...tokens, output: 0, reasoning: 0 }) });
        // Nobody waits for it: a crash before it is written loses a charge, not an answer. Its closing line tells of any trouble.
        deps.journal.append(record).catch(() => {});
      };
    },
    begin(attempt) {
      running = attempt;
    },
    leaves() {
      if (running !== null) onFirstLeaving?.(running);
      onFirstLeaving = null;
    },
    failed(failure) {
      if (running !== null) closeAttempt(running, failure, null);
      running = null;
      upstreamRequestId = failure.upstreamRequestId ?? upstreamRequestId;
    },
    firstOutput() {
      firstOutputAt ??= deps.clock.now();
    },
    upstreamRequestId(id) {
      upstreamRequestId = id;
    },
    onSettle(callback) {
      onSettle.push(callback);
    },
    settle(end) {
      settled ??= write(end);
      return settled;
    },
  };
}

function openRecord(
  { id, client, endpoint, stream, model }: RelayRequest, attempt: RunningAttempt,
  { now, tokens, cost }: { readonly now: EpochMs; readonly tokens: TokenCounts; readonly cost: Cost },
): OpenRecord {
  return {
    v: 1, t: now, k: 'open', id, client: client.name, member: client.member, project: client.project, env: client.env, endpoint, stream,
    model: { asked: model === '' ? null : model, sent: attempt.model }, provider: attempt.account.provider, account: attempt.account.name,
    reserved: { input: tokens.input, output: tokens.output }, cost,
  };
}

function phaseOf(facts: {
  readonly admittedAt: EpochMs | null;
  readonly running: RunningAttempt | null;
  readonly firstOutputAt: EpochMs | null;
  readonly settling: boolean;
}): LiveRequest['phase'] {
  if (facts.settling) return 'settling';
  if (facts.firstOutputAt !== null) return 'streaming';
  if (facts.running === null) return 'queued';
  return facts.running.seen.events > 0 ? 'waiting' : 'connecting';
}

/** How far the attempt had come that was under way at the end. */
function phaseReached(seen: Seen, firstOutputAt: EpochMs | null): Phase {
  if (firstOutputAt !== null) return 'committed';
  return seen.events > 0 ? 'stream' : 'request';
}

function failureOf(end: AnswerEnd, phase: Phase): Pick<Failure, 'status' | 'code' | 'phase'> | null {
  switch (end.kind) {
    case 'served':
      return null;
    case 'client-gone':
      return { status: null, code: 'client_closed', phase };
    case 'refused':
    case 'failed':
      return { status: null, code: end.error.body.code ?? end.error.code, phase };
  }
}

interface EndFacts {
  readonly seen: Seen | null;
  /** Something has reached the client. */
  readonly hasBegun: boolean;
  readonly clientWire: ClientWire;
  readonly attempts: readonly AttemptRecord[];
}

function statusOf(end: AnswerEnd, { seen, hasBegun, clientWire, attempts }: EndFacts): Pick<CloseRecord, 'status' | 'outcome' | 'error'> {
  switch (end.kind) {
    case 'served':
      return { status: 200, outcome: seen?.terminal === 'incomplete' ? 'incomplete' : 'ok', error: null };
    case 'client-gone':
      return { status: 499, outcome: 'client_closed', error: { code: 'client_closed', message: 'The client left before the answer was over.' } };
    case 'refused':
    case 'failed': {
      const outcome: Outcome = hasBegun ? 'broken_stream' : end.kind;
      return { status: statusToward(clientWire, end.error), outcome, error: recordedError(end.error, attempts) };
    }
  }
}

function askedTier(request: RelayRequest): string | null {
  const tier = request.body['service_tier'];
  return typeof tier === 'string' ? tier.slice(0, 40) : null;
}
