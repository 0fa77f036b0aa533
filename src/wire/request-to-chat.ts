import type { JsonObject, JsonValue } from '../core/json.ts';
import { stringAt } from '../core/json.ts';
import { toChatDialect } from './chat-dialect.ts';
import { refuseRequest } from './refuse-request.ts';
import { configurationOf, itemsToMessages } from './request-to-chat-messages.ts';
import { parametersToChat } from './request-to-chat-parameters.ts';
import { toolsToChat } from './request-to-chat-tools.ts';
import type { Translation } from './translation.ts';

/**
 * A Responses body, with its history already written out as `items`, as a Chat Completions body for the target's
 * dialect. Refuses, with 400, what no chat body can say.
 */
export function responsesToChat(body: JsonObject, items: readonly JsonValue[], translation: Translation): JsonObject {
  const configured = { ...body, ...configurationOf(items) };
  const instructions = stringAt(body, 'instructions') ?? '';
  // Tools first: names and kinds of the history's calls follow what they declare.
  const tools = toolsToChat(configured, items, translation);
  const messages = itemsToMessages(items, translation);
  if (instructions !== '') messages.unshift({ role: 'system', content: instructions });
  if (messages.length === 0) refuseRequest('input', 'The input holds nothing that the upstream which serves this model could be told.');
  const made = {
    model: translation.target.model,
    messages,
    ...parametersToChat(configured, translation),
    ...tools,
  };
  return toChatDialect(made, translation);
}
