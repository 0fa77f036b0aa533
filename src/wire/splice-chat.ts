import type { JsonObject } from '../core/json.ts';
import { arrayAt, parseJsonObject, stringAt } from '../core/json.ts';
import { chatErrorFrame } from './error-frame.ts';
import { nothingSeen } from './passage.ts';
import type { AnswerPlan } from './prepared-request.ts';
import { createSignedCalls } from './signed-calls.ts';
import type { FrameFields } from './splice-framer.ts';
import type { FrameJudge, Verdict } from './splice-passage.ts';
import { DROP, HOLD, LAST, PASS, nameOf, textOf } from './splice-passage.ts';
import type { Scan, WantedMember } from './splice-scan.ts';
import { scanMembers } from './splice-scan.ts';
import { DONE_EVENT } from './sse-writer.ts';
import { bodyOfFailure, endedInError, noteFailure, readChatFailure } from './stream-failure.ts';
import { noteCompletion, terminalOfFinish } from './stream-seen.ts';

const CALLS = 1;
const USAGE = 2;
const FINISH = 4;
const ERROR = 8;
const WANTED: readonly WantedMember[] = [
  { name: 'content', does: 'count' },
  { name: 'reasoning_content', does: 'count' },
  { name: 'reasoning', does: 'count' },
  { name: 'refusal', does: 'count' },
  { name: 'arguments', does: 'count' },
  { name: 'tool_calls', does: CALLS },
  { name: 'function_call', does: CALLS },
  { name: 'usage', does: USAGE },
  { name: 'finish_reason', does: FINISH },
  { name: 'error', does: ERROR },
  { name: 'detail', does: ERROR },
];

/**
 * Looks at a Chat Completions stream on its way to a chat client. Deltas are scanned, not parsed. From the finish chunk on
 * everything waits for `[DONE]` or the end of the body; the usage chunk is left out for a client that did not ask for it.
 */
export function createChatSplice(plan: AnswerPlan): FrameJudge {
  const seen = nothingSeen();
  const scan: Scan = { characters: 0, found: 0 };
  let finish: string | null = null;
  let named = false;
  const signed = createSignedCalls();

  const judgeChunk = (chunk: JsonObject, carriesOutput: boolean): Verdict => {
    const failure = readChatFailure(chunk);
    if (failure) {
      noteFailure(seen, failure);
      return { kind: 'last', bytes: chatErrorFrame(bodyOfFailure(failure)) };
    }
    noteCompletion(seen, chunk);
    const choices = arrayAt(chunk, 'choices');
    for (const choice of choices ?? []) finish = stringAt(choice, 'finish_reason') || finish;
    if (finish === 'error') {
      noteFailure(seen, endedInError());
      return { kind: 'last', bytes: chatErrorFrame(bodyOfFailure(endedInError())) };
    }
    if (choices?.length === 0 && chunk.usage && !plan.includeUsage) return DROP;
    return finish !== null && (!carriesOutput || finishes(chunk)) ? HOLD : PASS;
  };
  const judge = (fields: FrameFields): Verdict => {
    if (isDone(fields)) {
      seen.terminal = terminalOfFinish(finish ?? 'stop');
      seen.meaningful = true;
      return LAST;
    }
    scanMembers(fields.bytes, fields.dataStart, fields.dataEnd, WANTED, scan);
    const carriesOutput = scan.characters > 0 || (scan.found & CALLS) !== 0;
    if (carriesOutput) seen.meaningful = true;
    if (scan.characters > 0) seen.outputEvents += 1;
    seen.outputCharacters += scan.characters;
    const mayBeSigned = plan.dialect === 'gemini' && (scan.found & CALLS) !== 0;
    const matters = mayBeSigned || !named || (scan.found & ~CALLS) !== 0 || nameOf(fields) === 'error';
    const chunk = matters ? parseJsonObject(textOf(fields)) : undefined;
    if (chunk) {
      named = true;
      if (mayBeSigned) signed.take(chunk);
      return judgeChunk(nameOf(fields) === 'error' && !chunk.error ? { ...chunk, object: 'error' } : chunk, carriesOutput);
    }
    return finish === null || carriesOutput ? PASS : HOLD;
  };
  return {
    seen,
    judge,
    end() {
      if (finish === null) return null;
      seen.terminal = terminalOfFinish(finish);
      seen.meaningful = true;
      return DONE_EVENT;
    },
    failed: () => chatErrorFrame(bodyOfFailure(seen.failure ?? endedInError())),
    items: signed.items,
    response: () => null,
    errorFrame: chatErrorFrame,
  };
}

function finishes(chunk: JsonObject): boolean {
  return (arrayAt(chunk, 'choices') ?? []).some((choice) => Boolean(stringAt(choice, 'finish_reason')));
}

const DONE = '[DONE]';

function isDone({ bytes, dataStart, dataEnd }: FrameFields): boolean {
  if (dataEnd - dataStart < DONE.length) return false;
  for (let index = 0; index < DONE.length; index++) if (bytes[dataStart + index] !== DONE.charCodeAt(index)) return false;
  return true;
}
