import type { ErrorBody } from '../core/errors.ts';
import type { JsonObject } from '../core/json.ts';
import { parseJsonObject } from '../core/json.ts';
import type { Passage, Passed, Seen } from './passage.ts';
import { NOTHING_PASSED } from './passage.ts';
import { createSseReader } from './sse-reader.ts';
import { brokenAnswer, noteFailure } from './stream-failure.ts';

/** One way to tell an upstream's events to a client: a translation or a fold. It never sees bytes coming in. */
export interface EventTeller {
  readonly seen: Seen;
  take(event: JsonObject): void;
  /** The upstream said `[DONE]`. */
  done(): void;
  /** The upstream ended its body. */
  end(): void;
  /** What the client may have now; each call gives what came since the one before. */
  drain(): readonly Uint8Array[];
  /** The end of the answer, asked for once, when `seen.terminal` is set. */
  finish(): readonly Uint8Array[];
  items(): readonly JsonObject[];
  /** The finished Responses object as it was told; null where there is none. */
  response(): JsonObject | null;
  errorFrame(error: ErrorBody): Uint8Array;
}

/** A passage that reads every event. One that is no JSON, or too large, ends the answer as a failure. */
export function createStreamPassage(teller: EventTeller): Passage {
  const { seen } = teller;
  let last: readonly Uint8Array[] | null = null;
  const settle = (): void => {
    if (last === null && seen.terminal !== null) last = teller.finish();
  };
  const reader = createSseReader(({ data }) => {
    if (last !== null || data === '') return;
    seen.events += 1;
    if (data.startsWith('[DONE]')) teller.done();
    else {
      const event = parseJsonObject(data);
      if (event) teller.take(event);
      else noteFailure(seen, brokenAnswer('The upstream sent an event that is not a JSON object.'));
    }
    settle();
  });
  const step = (read: () => void): Passed => {
    if (last !== null) return NOTHING_PASSED;
    read();
    if (reader.overflowed) noteFailure(seen, brokenAnswer('The upstream sent an event that is too large.'));
    settle();
    return { out: teller.drain(), last };
  };
  return {
    seen,
    push: (chunk) => step(() => reader.push(chunk)),
    end: () =>
      step(() => {
        reader.end();
        if (last === null) teller.end();
      }),
    items: () => teller.items(),
    response: () => teller.response(),
    errorFrame: (error) => teller.errorFrame(error),
  };
}
