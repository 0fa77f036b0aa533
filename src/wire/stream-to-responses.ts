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
    finish: () => [writeResponsesEvent(seen.failure ? events.failed(bodyOfFailure(seen.failure)) : events.terminal())],
    items: () => events.items(),
    errorFrame: (error) => writeResponsesEvent(events.failed(error)),
  };
}
