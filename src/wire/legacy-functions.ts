import type { JsonObject, JsonValue } from '../core/json.ts';
import { arrayAt, isJsonObject, objectAt, stringAt } from '../core/json.ts';
import type { Target } from './prepared-request.ts';
import { refuseRequest, requireString } from './refuse-request.ts';
import { usesLegacyFunctions } from './request-to-responses-tools.ts';
import type { Translation } from './translation.ts';
import { mapUnlessSame, withMembers } from './unless-same.ts';

/** OpenAI's own chat endpoint still documents the 2023 dialect; other servers commonly ignore it without a word. */
export function takesLegacyFunctions({ wire, dialect }: Pick<Target, 'wire' | 'dialect'>): boolean {
  return wire === 'chat' && dialect === 'openai';
}

/** A chat body of the 2023 dialect with tools in place of functions, where the upstream would not see those. */
export function withoutLegacyFunctions(body: JsonObject, { target }: Translation): JsonObject {
  if (takesLegacyFunctions(target)) return body;
  const messages = arrayAt(body, 'messages');
  const paired = messages ? pairedMessages(messages) : undefined;
  const isSame = paired === undefined || paired === messages;
  if (!usesLegacyFunctions(body)) return isSame ? body : withMembers(body, { messages: [...paired] });
  const tools = (arrayAt(body, 'functions') ?? []).map((declared): JsonObject => ({ type: 'function', function: declared }));
  return withMembers(body, {
    functions: undefined,
    function_call: undefined,
    tools: tools.length > 0 ? tools : undefined,
    tool_choice: tools.length > 0 ? choiceOf(body['function_call']) : undefined,
    ...(!isSame && { messages: [...paired] }),
  });
}

function choiceOf(call: JsonValue | undefined): JsonValue | undefined {
  if (typeof call === 'string') return call;
  return isJsonObject(call) ? { type: 'function', function: { name: requireString(call['name'], 'function_call.name') } } : undefined;
}

/** The 2023 dialect has no ids: its calls and answers pair by name and order. */
function pairedMessages(messages: readonly JsonValue[]): readonly JsonValue[] {
  const open: { readonly name: string; readonly id: string }[] = [];
  let made = 0;
  return mapUnlessSame(messages, (message, index) => {
    if (!isJsonObject(message)) return message;
    const call = objectAt(message, 'function_call');
    if (message['role'] === 'assistant' && call) {
      const { function_call: _, ...rest } = message;
      const id = `call_legacy_${made}`;
      made += 1;
      open.push({ name: requireString(call['name'], `messages[${index}].function_call.name`), id });
      return { ...rest, tool_calls: [...(arrayAt(message, 'tool_calls') ?? []), { id, type: 'function', function: call }] };
    }
    if (message['role'] !== 'function') return message;
    const name = stringAt(message, 'name');
    const position = open.findIndex((waiting) => name === undefined || waiting.name === name);
    const [answered] = position < 0 ? [] : open.splice(position, 1);
    const at = `messages[${index}]`;
    if (!answered) refuseRequest(`${at}.name`, `'${at}' answers no function call: no assistant message before it called it.`);
    const { name: _, ...rest } = message;
    return { ...rest, role: 'tool', tool_call_id: answered.id };
  });
}
