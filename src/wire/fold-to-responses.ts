import type { JsonObject } from '../core/json.ts';
import { objectAt } from '../core/json.ts';
import { errorEnvelope } from './error-frame.ts';
import { createResponseFold } from './fold-response.ts';
import type { PassageDeps, Seen } from './passage.ts';
import { nothingSeen } from './passage.ts';
import type { AnswerPlan } from './prepared-request.ts';
import { toBytes } from './sse-writer.ts';
import { bodyOfFailure, noteFailure, readResponsesFailure } from './stream-failure.ts';
import type { EventTeller } from './stream-passage.ts';
import { noteResponse } from './stream-seen.ts';
import { ResponseEvents } from './stream-to-responses-events.ts';
import { newResponse } from './whole-response.ts';

/** Folds a Chat Completions stream to the response a client without streaming asked for. */
export function createChunksToResponse(plan: AnswerPlan, deps: PassageDeps): EventTeller {
  const seen = nothingSeen();
  const events = new ResponseEvents(plan, deps, seen, () => undefined);
  let response: JsonObject | null = null;
  return {
    seen,
    take: (chunk) => events.take(chunk),
    done: () => events.done(),
    end: () => events.end(),
    drain: () => [],
    finish() {
      if (seen.failure) return [errorEnvelope(bodyOfFailure(seen.failure))];
      response = events.terminalResponse();
      return [toBytes(JSON.stringify(response))];
    },
    items: () => events.items(),
    response: () => response,
    errorFrame: errorEnvelope,
  };
}

/** Folds a Responses stream to the response it tells of, for an upstream that only streams. */
export function createEventsToResponse(plan: AnswerPlan, deps: PassageDeps): EventTeller {
  const seen = nothingSeen();
  const fold = createResponseFold();
  let response: JsonObject | null = null;
  const whole = (): JsonObject => {
    const told = fold.response();
    const facts = { id: deps.makeId('resp_'), createdAt: deps.nowSeconds(), model: seen.model ?? deps.model, tier: seen.tier };
    return told.id === undefined ? { ...newResponse(facts, plan.echo), ...told } : told;
  };
  return {
    seen,
    take(event) {
      noteResponse(seen, objectAt(event, 'response'));
      noteOutput(seen, event);
      fold.take(event);
      switch (event.type) {
        case 'codex.rate_limits':
          seen.rateLimits = event;
          return;
        case 'response.completed':
        case 'response.done':
          seen.terminal = 'completed';
          return;
        case 'response.incomplete':
          seen.terminal = 'incomplete';
          return;
        case 'response.failed':
        case 'response.cancelled':
        case 'error':
          return noteFailure(seen, readResponsesFailure(event));
      }
    },
    done: () => undefined,
    end: () => undefined,
    drain: () => [],
    finish() {
      if (seen.failure) return [errorEnvelope(bodyOfFailure(seen.failure))];
      response = whole();
      return [toBytes(JSON.stringify(response))];
    },
    items: fold.output,
    response: () => response,
    errorFrame: errorEnvelope,
  };
}

function noteOutput(seen: Seen, event: JsonObject): void {
  if (typeof event.delta !== 'string' || event.delta === '') return;
  seen.meaningful = true;
  seen.outputEvents += 1;
  seen.outputCharacters += event.delta.length;
}
