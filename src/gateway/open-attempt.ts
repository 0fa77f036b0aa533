import type { Account, Credential } from '../core/account.ts';
import type { ByteSource, TransportFailure } from '../core/byte-source.ts';
import type { Config } from '../core/config.ts';
import type { Failure } from '../core/failure.ts';
import type { Clock, Send, UpstreamAnswer, UpstreamCall } from '../core/ports.ts';
import type { Endpoint, ProviderAdapter } from '../core/provider-adapter.ts';
import type { Headers, RelayRequest } from '../core/relay-request.ts';
import { urlOf } from '../providers/endpoint.ts';
import { classifyRefusal, classifyStreamFailure, classifyTransport } from '../routing/classify-failure.ts';
import { createEventBytes } from '../wire/event-bytes.ts';
import type { Passage } from '../wire/passage.ts';
import type { PreparedRequest } from '../wire/prepared-request.ts';
import type { Prelude } from './prelude.ts';
import { readWhole } from './read-whole.ts';

/** Past this the beginning is not held back any longer: it goes to the client, and its content stays undecided. */
const PRELUDE_EVENTS = 64;
const PRELUDE_BYTES = 1_048_576;
/** Past this a stream that says nothing is taken for content all the same, and runs at the client's speed. */
const ENDLESS_PRELUDE_BYTES = 16 * PRELUDE_BYTES;
/** Enough of a refusal's body to judge it by; the rest is not read. */
const REFUSAL_BYTES = 65_536;
const REFUSAL_MS = 10_000;
/** A client that wants one object gets at most this much of it. */
const WHOLE_ANSWER_BYTES = 67_108_864;

/** One try at one account. */
export interface Attempt {
  readonly request: RelayRequest;
  readonly account: Account;
  readonly credential: Credential;
  readonly endpoint: Endpoint;
  readonly adapter: ProviderAdapter;
  readonly prepared: PreparedRequest;
  readonly model: string;
  readonly passage: Passage;
  readonly prelude: Prelude;
  /** Calls back at the first event of any kind, for the live view. */
  readonly onFirstEvent: () => void;
}

export interface AttemptDeps {
  readonly send: Send;
  readonly clock: Clock;
  readonly timeouts: Config['timeouts'];
  readonly version: string;
}

/** An answer at its commit point: what was held back, then the rest of the upstream's body, to be fed to the passage. */
export interface OpenAnswer {
  readonly headers: Headers;
  readonly passage: Passage;
  readonly held: readonly Uint8Array[];
  /** Not null when the answer is already over: nothing is left to read. */
  readonly last: readonly Uint8Array[] | null;
  readonly rest: ByteSource;
}

export type OpenResult =
  | { readonly ok: true; readonly answer: OpenAnswer }
  | { readonly ok: false; readonly failure: Failure; readonly headers: Headers };

/**
 * Sends one attempt and resolves at its commit point: the first meaningful event for a stream, the end for a whole
 * answer. A failure before that is a value, and nothing of it has reached the client. Never rejects.
 */
export async function openAttempt(attempt: Attempt, deps: AttemptDeps, signal: AbortSignal): Promise<OpenResult> {
  const sent = await deps.send(writeCall(attempt, deps), signal);
  if (!sent.ok) return { ok: false, failure: classifyTransport(sent.failure, sent.phase), headers: {} };
  const { answer } = sent;
  if (answer.status < 200 || answer.status > 299) {
    return { ok: false, failure: await judgeRefusal(answer, attempt.adapter, deps), headers: answer.headers };
  }
  const mismatch = contentMismatch(answer.headers, attempt.prepared.answer.upstreamStream);
  if (mismatch !== null) {
    answer.body.destroy();
    return { ok: false, failure: classifyTransport(mismatch, 'headers'), headers: answer.headers };
  }
  return untilCommitted(attempt, answer, deps);
}

function writeCall(attempt: Attempt, { timeouts, version }: AttemptDeps): UpstreamCall {
  const { request, adapter, endpoint, prepared, account, credential, model } = attempt;
  // A compaction by summary is an ordinary call.
  const compacts = request.endpoint === 'compact' && prepared.answer.compaction === undefined;
  const path = adapter.path(compacts ? 'compact' : endpoint.wire);
  // An upstream asked for a whole body says nothing until it is done: its headers may take as long as the answer.
  const headersMs = prepared.answer.upstreamStream ? timeouts.headersMs : timeouts.totalMs;
  return {
    method: 'POST',
    url: urlOf(endpoint, path),
    headers: {
      'content-type': 'application/json',
      accept: prepared.answer.upstreamStream ? 'text/event-stream' : 'application/json',
      ...adapter.headers({ account, credential, endpoint, request, model, version }),
    },
    body: prepared.changed ? new TextEncoder().encode(JSON.stringify(prepared.body)) : request.bytes,
    timeouts: { connect: timeouts.connectMs, headers: headersMs, idle: timeouts.idleMs },
  };
}

async function judgeRefusal(answer: UpstreamAnswer, adapter: ProviderAdapter, { clock }: AttemptDeps): Promise<Failure> {
  const body = await readWhole(answer.body, { maxBytes: REFUSAL_BYTES, deadlineMs: REFUSAL_MS, clock });
  const refusal = { status: answer.status, headers: answer.headers, body: new TextDecoder().decode(body.bytes), receivedAt: clock.now() };
  return adapter.judge(refusal) ?? classifyRefusal(refusal);
}

/** A 200 that is not the stream or object that was asked for is no answer, whatever it says. */
function contentMismatch(headers: Headers, wantsStream: boolean): TransportFailure | null {
  const type = (headers['content-type'] ?? '').split(';')[0]?.trim().toLowerCase() ?? '';
  const fits = wantsStream ? type === 'text/event-stream' : type === 'application/json' || type.endsWith('+json');
  if (fits) return null;
  return {
    kind: 'invalid-response',
    code: 'content_type',
    message: `The upstream answered 200 with ${type === '' ? 'no content type' : type.slice(0, 60)} where ${wantsStream ? 'an event stream' : 'JSON'} was expected.`,
  };
}

function untilCommitted(attempt: Attempt, answer: UpstreamAnswer, deps: AttemptDeps): Promise<OpenResult> {
  const { passage, request, prepared, prelude } = attempt;
  const { seen } = passage;
  const held: Uint8Array[] = [];
  let heldEvents = 0;
  let heldBytes = 0;
  let preludeBytes = 0;
  let eventsBefore = 0;
  let receivedBytes = 0;

  return new Promise((resolve) => {
    const finish = (result: OpenResult): void => {
      cancelFirstEvent();
      cancelTotal();
      resolve(result);
    };
    const commit = (last: readonly Uint8Array[] | null): void => {
      finish({ ok: true, answer: { headers: answer.headers, passage, held, last, rest: answer.body } });
    };
    const fail = (failure: Failure): void => {
      answer.body.destroy();
      finish({ ok: false, failure, headers: answer.headers });
    };
    const timeOut = (code: string, message: string) => (): void =>
      fail(classifyTransport({ kind: 'timed-out', code, message }, 'stream'));

    const { firstEventMs, totalMs } = deps.timeouts;
    const awaitFirstEvent = (): (() => void) =>
      deps.clock.after(firstEventMs, timeOut('first_event_timeout', `No event came within ${firstEventMs} ms.`));
    let cancelFirstEvent = prepared.answer.upstreamStream ? awaitFirstEvent() : () => {};
    const holdsEventBytes = createEventBytes();
    const cancelTotal = prepared.answer.upstreamStream
      ? () => {}
      : deps.clock.after(totalMs, timeOut('total_timeout', `The answer was not there within ${totalMs} ms.`));

    /** Takes what a step of the passage gave; true when the attempt is decided. */
    const take = (passed: { readonly out: readonly Uint8Array[]; readonly last: readonly Uint8Array[] | null }): boolean => {
      for (const piece of passed.out) {
        held.push(piece);
        heldBytes += piece.length;
      }
      // A splice hands on a chunk's events as one piece; comments count as pieces only.
      if (passed.out.length > 0) heldEvents += Math.max(passed.out.length, seen.events - eventsBefore);
      eventsBefore = seen.events;
      if (seen.failure !== null && (!request.stream || !seen.meaningful)) {
        fail(classifyStreamFailure(seen.failure, deps.clock.now(), answer.headers));
        return true;
      }
      if (passed.last !== null) {
        answer.body.release();
        commit(passed.last);
        return true;
      }
      if (!request.stream) return false;
      const isOver = heldEvents > PRELUDE_EVENTS || heldBytes > PRELUDE_BYTES || preludeBytes > 0;
      if (!seen.meaningful && (!isOver || letGo())) return false;
      answer.body.pause();
      commit(null);
      return true;
    };
    /** Sends the beginning ahead; false where nobody takes it, or it has no end. */
    const letGo = (): boolean => {
      preludeBytes += heldBytes;
      if (!prelude.isTaken || preludeBytes > ENDLESS_PRELUDE_BYTES) return false;
      prelude.send(held.splice(0));
      heldBytes = 0;
      return true;
    };

    answer.body.start({
      onBytes(chunk) {
        receivedBytes += chunk.length;
        if (!request.stream && receivedBytes > WHOLE_ANSWER_BYTES) {
          fail(classifyTransport({ kind: 'invalid-response', code: 'answer_too_large', message: 'The answer is over 64 MiB.' }, 'stream'));
          return;
        }
        const decided = take(passage.push(chunk));
        if (decided) return;
        if (seen.events > 0) {
          cancelFirstEvent();
          attempt.onFirstEvent();
          return;
        }
        // A first event that comes in drips is coming: no wall clock cuts what produces.
        if (!prepared.answer.upstreamStream || !holdsEventBytes(chunk)) return;
        cancelFirstEvent();
        cancelFirstEvent = awaitFirstEvent();
      },
      onEnd() {
        if (take(passage.end())) return;
        fail(classifyTransport({ kind: 'cut', code: 'eof', message: 'The upstream ended its stream without a final event.' }, 'stream'));
      },
      onFailure(failure) {
        fail(classifyTransport(failure, 'stream'));
      },
    });
  });
}
