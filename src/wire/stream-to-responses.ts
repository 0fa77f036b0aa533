import type { JsonObject } from '../core/json.ts';
import { objectAt } from '../core/json.ts';
import type { PassageDeps } from './passage.ts';
import { nothingSeen } from './passage.ts';
import type { AnswerPlan } from './prepared-request.ts';
import { writeResponsesEvent } from './sse-writer.ts';
import { bodyOfFailure } from './stream-failure.ts';
import type { EventTeller } from './stream-passage.ts';
import { ResponseEvents } from './stream-to-responses-events.ts';

/**
 * Tells a Chat Completions stream to a Responses client that streams. The terminal event comes after `[DONE]` or the end of
 * the body, so that late usage counts.
 */
export function createStreamToResponses(plan: AnswerPlan, deps: PassageDeps): EventTeller {
  const seen = nothingSeen();
  let out: Uint8Array[] = [];
  let response: JsonObject | null = null;
  const events = new ResponseEvents(plan, deps, seen, (event) => out.push(writeResponsesEvent(event)));
  return {
    seen,
    take: (chunk) => events.take(chunk),
    done: () => events.done(),
    end: () => events.end(),
    drain() {
      const pieces = out;
      out = [];
      return pieces;
    },
    finish() {
      if (seen.failure) return [writeResponsesEvent(events.failed(bodyOfFailure(seen.failure)))];
      const terminal = events.terminal();
      response = objectAt(terminal, 'response') ?? null;
      return [writeResponsesEvent(terminal)];
    },
    items: () => events.items(),
    response: () => response,
    errorFrame: (error) => writeResponsesEvent(events.failed(error)),
  };
}
