import type { ErrorBody } from '../core/errors.ts';
import type { JsonObject } from '../core/json.ts';
import { arrayAt, isJsonObject, objectAt, parseJsonObject, stringAt } from '../core/json.ts';
import { errorEnvelope } from './error-frame.ts';
import type { Passage, Passed, Seen } from './passage.ts';
import { NOTHING_PASSED, nothingSeen } from './passage.ts';
import { createSignedCalls } from './signed-calls.ts';
import { joinBytes } from './sse-writer.ts';
import { bodyOfFailure, brokenAnswer, endedInError, noteFailure, readChatFailure, readResponsesFailure } from './stream-failure.ts';
import type { EventTeller } from './stream-passage.ts';
import { noteCompletion, noteDelta, noteResponse, terminalOfFinish } from './stream-seen.ts';

/** The largest whole answer taken in, in bytes. */
export const MAX_BODY_SIZE = 64 * 1024 * 1024;

/** How a whole answer is told once it is there. */
export interface BodyTeller {
  readonly seen: Seen;
  /** Gives the client's bytes; sets `seen.terminal` or `seen.failure`. `bytes` is the body as it came. */
  tell(body: JsonObject, bytes: Uint8Array): Passed;
  items(): readonly JsonObject[];
  /** The finished Responses object as it was told; null where there is none. */
  response(): JsonObject | null;
  errorFrame(error: ErrorBody): Uint8Array;
}

/** A passage for an upstream that answers with one JSON object: nothing goes out before it is whole. */
export function createWholePassage(teller: BodyTeller): Passage {
  const { seen } = teller;
  const pieces: Uint8Array[] = [];
  let size = 0;
  let over = false;
  const fail = (message: string): Passed => {
    over = true;
    pieces.length = 0;
    const failure = brokenAnswer(message);
    noteFailure(seen, failure);
    return { out: [], last: [teller.errorFrame(bodyOfFailure(failure))] };
  };
  return {
    seen,
    push(chunk) {
      if (over) return NOTHING_PASSED;
      pieces.push(chunk);
      size += chunk.length;
      return size > MAX_BODY_SIZE ? fail('The upstream sent an answer that is too large.') : NOTHING_PASSED;
    },
    end() {
      if (over) return NOTHING_PASSED;
      const bytes = joinBytes(pieces);
      const body = parseJsonObject(new TextDecoder().decode(bytes));
      if (!body) return fail('The upstream sent an answer that is not a JSON object.');
      over = true;
      seen.events += 1;
      return teller.tell(body, bytes);
    },
    items: () => teller.items(),
    response: () => teller.response(),
    errorFrame: (error) => teller.errorFrame(error),
  };
}

/** Tells a whole answer in the client's own wire: the very bytes that came. */
export function createSameBody(wire: 'chat' | 'responses'): BodyTeller {
  const seen = nothingSeen();
  let items: readonly JsonObject[] = [];
  let response: JsonObject | null = null;
  return {
    seen,
    tell(body, bytes) {
      if (wire === 'chat') {
        noteCompletionBody(seen, body);
        const signed = createSignedCalls();
        signed.take(body);
        items = signed.items();
      } else {
        noteResponseBody(seen, body);
        items = (arrayAt(body, 'output') ?? []).filter(isJsonObject);
        if (seen.failure === null) response = body;
      }
      return { out: [], last: [seen.failure ? errorEnvelope(bodyOfFailure(seen.failure)) : bytes] };
    },
    items: () => items,
    response: () => response,
    errorFrame: errorEnvelope,
  };
}

/** Tells a whole answer through a translation, as the few events it stands for. */
export function createToldBody(teller: EventTeller, eventsOf: (body: JsonObject) => readonly JsonObject[]): BodyTeller {
  const { seen } = teller;
  return {
    seen,
    tell(body) {
      for (const event of eventsOf(body)) if (seen.terminal === null) teller.take(event);
      if (seen.terminal === null) teller.done();
      if (seen.terminal === null) noteFailure(seen, brokenAnswer('The upstream sent an answer that is not finished.'));
      return { out: teller.drain(), last: teller.finish() };
    },
    items: teller.items,
    response: teller.response,
    errorFrame: teller.errorFrame,
  };
}

/** A whole completion as the one chunk that says it all. */
export function chunksOfCompletion(completion: JsonObject): readonly JsonObject[] {
  const choices = (arrayAt(completion, 'choices') ?? []).filter(isJsonObject);
  return [{ ...completion, choices: choices.map(({ message, ...choice }) => ({ ...choice, delta: message ?? {} })) }];
}

/** A whole response as its terminal event. */
export function eventsOfResponse(response: JsonObject): readonly JsonObject[] {
  if (objectAt(response, 'error') || response.status === 'failed') return [{ type: 'response.failed', response }];
  return [{ type: response.status === 'incomplete' ? 'response.incomplete' : 'response.completed', response }];
}

function noteCompletionBody(seen: Seen, body: JsonObject): void {
  const failure = readChatFailure(body);
  if (failure) return noteFailure(seen, failure);
  noteCompletion(seen, body);
  const choices = arrayAt(body, 'choices') ?? [];
  for (const choice of choices) noteDelta(seen, objectAt(choice, 'message'));
  seen.meaningful = true;
  seen.terminal = terminalOfFinish(stringAt(choices[0], 'finish_reason') ?? 'stop');
  if (seen.terminal === 'failed') noteFailure(seen, endedInError());
}

function noteResponseBody(seen: Seen, body: JsonObject): void {
  const failed = objectAt(body, 'error') ?? (body.status === 'failed' ? {} : undefined);
  if (failed) return noteFailure(seen, readResponsesFailure({ type: 'response.failed', response: body }));
  noteResponse(seen, body);
  for (const item of arrayAt(body, 'output') ?? []) {
    for (const part of arrayAt(item, 'content') ?? []) seen.outputCharacters += stringAt(part, 'text')?.length ?? 0;
    seen.outputCharacters += (stringAt(item, 'arguments') ?? stringAt(item, 'input') ?? '').length;
  }
  seen.meaningful = true;
  seen.terminal = body.status === 'incomplete' ? 'incomplete' : 'completed';
}
