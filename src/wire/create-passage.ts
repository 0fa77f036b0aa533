import { createCompactionBody, createCompactionEvents } from './compaction-answer.ts';
import { createChunksToCompletion, createResponsesToCompletion } from './fold-to-chat.ts';
import { createChunksToResponse, createEventsToResponse } from './fold-to-responses.ts';
import { needsMending } from './mend-chunks.ts';
import { createMessagesTeller } from './messages-stream.ts';
import type { Passage, PassageDeps } from './passage.ts';
import type { AnswerPlan } from './prepared-request.ts';
import { createChatSplice } from './splice-chat.ts';
import { createSplicePassage } from './splice-passage.ts';
import { ResponsesSplice } from './splice-responses.ts';
import type { EventTeller } from './stream-passage.ts';
import { createMendedStream } from './stream-mended.ts';
import { createStreamPassage } from './stream-passage.ts';
import { createStreamToChat } from './stream-to-chat.ts';
import { createStreamToResponses } from './stream-to-responses.ts';
import { withUnwrappedBody, withUnwrappedEvents } from './unwrap-custom-calls.ts';
import type { BodyTeller } from './whole-passage.ts';
import { chunksOfCompletion, createSameBody, createToldBody, createWholePassage, eventsOfResponse } from './whole-passage.ts';
import { createCompletionToChunks, createResponseToEvents } from './whole-to-events.ts';

/**
 * The passage for one answer: a splice where both sides stream the same wire, a translation where they stream different
 * ones, a fold where the client wants one object, and the whole body where the upstream gives one.
 */
export function createPassage(plan: AnswerPlan, deps: PassageDeps): Passage {
  const passage = passageFor(plan, deps);
  return plan.wrappedTools !== undefined && plan.upstreamStream ? withUnwrappedEvents(passage, plan) : passage;
}

function passageFor(plan: AnswerPlan, deps: PassageDeps): Passage {
  if (plan.compaction !== undefined) return createCompactionPassage(plan, deps);
  if (!plan.upstreamStream) return createWholePassage(wholeTellerFor(plan, deps));
  if (plan.clientStream && needsMending(plan)) return createStreamPassage(createMendedStream(plan));
  if (plan.clientStream && plan.clientWire === plan.upstreamWire) {
    return createSplicePassage(plan.clientWire === 'chat' ? createChatSplice(plan) : new ResponsesSplice(plan, deps));
  }
  return createStreamPassage(eventTellerFor(plan, deps));
}

/** A summary is folded whole, whatever the client asked for, and told as the one item it stands for. */
function createCompactionPassage(plan: AnswerPlan, deps: PassageDeps): Passage {
  const folded = { ...plan, clientStream: false };
  if (plan.upstreamStream) return createStreamPassage(createCompactionEvents(eventTellerFor(folded, deps), plan, deps));
  return createWholePassage(createCompactionBody(wholeTellerFor(folded, deps), plan, deps));
}

function eventTellerFor(plan: AnswerPlan, deps: PassageDeps): EventTeller {
  if (plan.clientWire === 'messages') return createMessagesTeller(plan, deps);
  if (plan.clientWire === 'chat') {
    if (plan.upstreamWire === 'chat') return createChunksToCompletion(plan, deps);
    return plan.clientStream ? createStreamToChat(plan, deps) : createResponsesToCompletion(plan, deps);
  }
  if (plan.upstreamWire === 'responses') return createEventsToResponse(plan, deps);
  return plan.clientStream ? createStreamToResponses(plan, deps) : createChunksToResponse(plan, deps);
}

function wholeTellerFor(plan: AnswerPlan, deps: PassageDeps): BodyTeller {
  const teller = bodyTellerFor(plan, deps);
  return plan.wrappedTools === undefined ? teller : withUnwrappedBody(teller, plan);
}

function bodyTellerFor(plan: AnswerPlan, deps: PassageDeps): BodyTeller {
  if (needsMending(plan) && !plan.clientStream) return createToldBody(createChunksToCompletion(plan, deps), chunksOfCompletion);
  if (plan.clientWire !== plan.upstreamWire) {
    return createToldBody(eventTellerFor(plan, deps), plan.upstreamWire === 'chat' ? chunksOfCompletion : eventsOfResponse);
  }
  if (!plan.clientStream) return createSameBody(plan.clientWire);
  return plan.clientWire === 'chat' ? createCompletionToChunks(plan) : createResponseToEvents(plan, deps);
}
