import type { JsonObject, JsonValue } from '../core/json.ts';
import { arrayAt, isJsonObject, objectAt, stringAt } from '../core/json.ts';
import type { Dialect } from '../core/provider-kind.ts';
import type { Translation } from './translation.ts';
import { mapUnlessSame, withMembers } from './unless-same.ts';

/** These document 64 characters for a function's name; what other servers take is theirs to say. */
const LIMITED: readonly Dialect[] = ['openai', 'deepseek', 'gemini'];

/** OpenAI's chat endpoint refuses longer call ids ("Expected a string with maximum length 40", its own error, 2025-2026). */
const LONGEST_CHAT_CALL_ID = 40;

/** A chat body whose tool names and call ids the upstream takes; the very same body where it takes them as they are. */
export function withTakenNames(body: JsonObject, translation: Translation): JsonObject {
  if (!LIMITED.includes(translation.target.dialect)) return body;
  const tools = arrayAt(body, 'tools');
  const messages = arrayAt(body, 'messages');
  const named = tools && mapUnlessSame(tools, (tool) => withTakenName(tool, translation));
  const told = messages && mapUnlessSame(messages, (message) => withTakenCalls(message, translation));
  return withMembers(body, {
    ...(named !== undefined && named !== tools && { tools: [...named] }),
    ...(told !== undefined && told !== messages && { messages: [...told] }),
    tool_choice: takenChoice(body['tool_choice'], translation),
  });
}

/** A declaration, a call or a choice: all keep the name in the member called after their type. */
function withTakenName(holder: JsonValue, { notes }: Translation): JsonValue {
  if (!isJsonObject(holder)) return holder;
  const kind = objectAt(holder, 'function') ? 'function' : 'custom';
  const inner = objectAt(holder, kind);
  const name = stringAt(inner, 'name');
  if (!inner || name === undefined) return holder;
  const sent = notes.names.sent(name);
  return sent === name ? holder : { ...holder, [kind]: { ...inner, name: sent } };
}

function takenChoice(choice: JsonValue | undefined, translation: Translation): JsonValue | undefined {
  if (!isJsonObject(choice)) return choice;
  const allowed = objectAt(choice, 'allowed_tools');
  const tools = arrayAt(allowed, 'tools');
  if (!allowed || !tools) return withTakenName(choice, translation);
  const named = mapUnlessSame(tools, (tool) => withTakenName(tool, translation));
  return named === tools ? choice : { ...choice, allowed_tools: { ...allowed, tools: [...named] } };
}

function withTakenCalls(message: JsonValue, translation: Translation): JsonValue {
  if (!isJsonObject(message)) return message;
  const calls = arrayAt(message, 'tool_calls');
  const taken = calls && mapUnlessSame(calls, (call) => withTakenId(withTakenName(call, translation), 'id', translation));
  const answered = withTakenId(message, 'tool_call_id', translation);
  if (!isJsonObject(answered) || taken === undefined || taken === calls) return answered;
  return { ...answered, tool_calls: [...taken] };
}

function withTakenId(holder: JsonValue, key: 'id' | 'tool_call_id', { target, notes }: Translation): JsonValue {
  const id = stringAt(holder, key);
  if (!isJsonObject(holder) || id === undefined || target.dialect !== 'openai' || id.length <= LONGEST_CHAT_CALL_ID) return holder;
  return { ...holder, [key]: notes.callId(id, LONGEST_CHAT_CALL_ID) };
}
