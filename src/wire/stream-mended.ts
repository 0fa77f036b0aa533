import type { JsonObject } from '../core/json.ts';
import { arrayAt, objectAt, stringAt } from '../core/json.ts';
import { chatErrorFrame } from './error-frame.ts';
import { createChunkMender } from './mend-chunks.ts';
import { nothingSeen } from './passage.ts';
import type { AnswerPlan } from './prepared-request.ts';
import { createSignedCalls } from './signed-calls.ts';
import { DONE_EVENT, writeChatEvent } from './sse-writer.ts';
import { bodyOfFailure, endedInError, noteFailure, readChatFailure } from './stream-failure.ts';
import type { EventTeller } from './stream-passage.ts';
import { noteCompletion, noteDelta, terminalOfFinish } from './stream-seen.ts';

/**
 * Tells a Chat Completions stream to a chat client that streams, each chunk mended: for requests whose names, calls, stop
 * sequences or reasoning the upstream was told, or tells, in other words. From the finish on all waits for the end.
 */
export function createMendedStream(plan: AnswerPlan): EventTeller {
  const seen = nothingSeen();
  const mender = createChunkMender(plan);
  const signed = createSignedCalls();
  const held: Uint8Array[] = [];
  let out: Uint8Array[] = [];
  let finish: string | null = null;
  const tell = (chunk: JsonObject): void => {
    (finish === null ? out : held).push(writeChatEvent(JSON.stringify(chunk)));
  };
  const done = (): void => {
    seen.terminal ??= terminalOfFinish(finish ?? 'stop');
    seen.meaningful = true;
  };
  return {
    seen,
    take(chunk) {
      const failure = readChatFailure(chunk);
      if (failure) return noteFailure(seen, failure);
      noteCompletion(seen, chunk);
      signed.take(chunk);
      const choices = arrayAt(chunk, 'choices') ?? [];
      for (const choice of choices) {
        noteDelta(seen, objectAt(choice, 'delta'));
        finish = stringAt(choice, 'finish_reason') || finish;
      }
      if (finish === 'error') return noteFailure(seen, endedInError());
      if (choices.length === 0 && chunk['usage'] && !plan.includeUsage) return;
      tell(mender.take(chunk));
      if (mender.isCut) seen.terminal = 'completed';
    },
    done,
    end() {
      if (finish !== null) done();
    },
    drain() {
      const pieces = out;
      out = [];
      return pieces;
    },
    finish: () => (seen.failure ? [chatErrorFrame(bodyOfFailure(seen.failure))] : [...held, DONE_EVENT]),
    items: signed.items,
    response: () => null,
    errorFrame: chatErrorFrame,
  };
}
