import type { JsonObject } from '../core/json.ts';
import { objectAt } from '../core/json.ts';
import { chatErrorFrame } from './error-frame.ts';
import { createItemCollector } from './fold-items.ts';
import type { PassageDeps } from './passage.ts';
import { nothingSeen } from './passage.ts';
import type { AnswerPlan } from './prepared-request.ts';
import { bodyOfFailure } from './stream-failure.ts';
import type { EventTeller } from './stream-passage.ts';
import { noteResponse } from './stream-seen.ts';
import { createChunkHead, createChunkWriter } from './stream-to-chat-chunks.ts';
import { ChatDeltas } from './stream-to-chat-deltas.ts';

/** Tells a Responses stream to a chat client that streams: one chunk for every piece the upstream sends. */
export function createStreamToChat(plan: AnswerPlan, deps: PassageDeps): EventTeller {
  const seen = nothingSeen();
  const head = createChunkHead(seen, deps);
  const chunks = createChunkWriter(plan.includeUsage, seen, head.head);
  const items = createItemCollector();
  let out: Uint8Array[] = [];
  const deltas = new ChatDeltas(plan, seen, (delta, logprobs) => out.push(chunks.delta(delta, logprobs)));
  return {
    seen,
    take(event: JsonObject) {
      noteResponse(seen, objectAt(event, 'response'));
      if (event.type === 'codex.rate_limits') seen.rateLimits = event;
      head.adopt(event);
      items.take(event);
      deltas.take(event);
    },
    done: () => undefined,
    end: () => undefined,
    drain() {
      const pieces = out;
      out = [];
      return pieces;
    },
    finish: () => (seen.failure ? [chatErrorFrame(bodyOfFailure(seen.failure))] : chunks.end(deltas.finish ?? 'stop')),
    items: items.items,
    response: () => null,
    errorFrame: chatErrorFrame,
  };
}
