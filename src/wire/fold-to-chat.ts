import type { JsonObject } from '../core/json.ts';
import { arrayAt, objectAt, stringAt } from '../core/json.ts';
import { errorEnvelope } from './error-frame.ts';
import { createCompletionFold } from './fold-completion.ts';
import { createItemCollector } from './fold-items.ts';
import { createChunkMender, needsMending } from './mend-chunks.ts';
import type { PassageDeps } from './passage.ts';
import { nothingSeen } from './passage.ts';
import type { AnswerPlan } from './prepared-request.ts';
import { createSignedCalls } from './signed-calls.ts';
import { toBytes } from './sse-writer.ts';
import { bodyOfFailure, endedInError, noteFailure, readChatFailure } from './stream-failure.ts';
import type { EventTeller } from './stream-passage.ts';
import { noteCompletion, noteDelta, noteResponse, terminalOfFinish } from './stream-seen.ts';
import { createChunkHead } from './stream-to-chat-chunks.ts';
import { ChatDeltas } from './stream-to-chat-deltas.ts';
import { usageToChat } from './whole-usage.ts';

/** Folds a Responses stream to the chat completion a client without streaming asked for. */
export function createResponsesToCompletion(plan: AnswerPlan, deps: PassageDeps): EventTeller {
  const seen = nothingSeen();
  const head = createChunkHead(seen, deps);
  const items = createItemCollector();
  const fold = createCompletionFold();
  const deltas = new ChatDeltas(plan, seen, (delta, logprobs) => {
    fold.chunk({ choices: [{ index: 0, delta, ...(logprobs && { logprobs: { content: [...logprobs] } }) }] });
  });
  const completion = (): JsonObject => {
    fold.chunk({ choices: [{ index: 0, delta: {}, finish_reason: deltas.finish }] });
    const usage = usageToChat(seen.usage);
    return { ...head.head(), ...fold.completion(), ...(seen.tier !== null && { service_tier: seen.tier }), ...(usage && { usage }) };
  };
  return {
    seen,
    take(event) {
      noteResponse(seen, objectAt(event, 'response'));
      if (event.type === 'codex.rate_limits') seen.rateLimits = event;
      head.adopt(event);
      items.take(event);
      deltas.take(event);
    },
    done: () => undefined,
    end: () => undefined,
    drain: () => [],
    finish: () => [seen.failure ? errorEnvelope(bodyOfFailure(seen.failure)) : toBytes(JSON.stringify(completion()))],
    items: items.items,
    response: () => null,
    errorFrame: errorEnvelope,
  };
}

/**
 * Folds a Chat Completions stream to one completion, for an upstream that only streams. Complete at `[DONE]`, or at the
 * end of the body after a finish reason.
 */
export function createChunksToCompletion(plan: AnswerPlan, deps: PassageDeps): EventTeller {
  const seen = nothingSeen();
  const fold = createCompletionFold();
  const signed = createSignedCalls();
  const mender = needsMending(plan) ? createChunkMender(plan) : null;
  let finish: string | null = null;
  return {
    seen,
    take(chunk) {
      const failure = readChatFailure(chunk);
      if (failure) return noteFailure(seen, failure);
      noteCompletion(seen, chunk);
      fold.chunk(mender?.take(chunk) ?? chunk);
      if (mender?.isCut === true) seen.terminal ??= 'completed';
      signed.take(chunk);
      for (const choice of arrayAt(chunk, 'choices') ?? []) {
        noteDelta(seen, objectAt(choice, 'delta'));
        finish = stringAt(choice, 'finish_reason') || finish;
      }
      if (finish === 'error') noteFailure(seen, endedInError());
    },
    done() {
      seen.terminal ??= terminalOfFinish(finish ?? 'stop');
    },
    end() {
      if (finish !== null) seen.terminal ??= terminalOfFinish(finish);
    },
    drain: () => [],
    finish: () => {
      if (seen.failure) return [errorEnvelope(bodyOfFailure(seen.failure))];
      const head = { id: seen.responseId ?? deps.makeId('chatcmpl-'), created: deps.nowSeconds(), model: seen.model ?? deps.model };
      return [toBytes(JSON.stringify({ ...head, ...fold.completion() }))];
    },
    items: signed.items,
    response: () => null,
    errorFrame: errorEnvelope,
  };
}
