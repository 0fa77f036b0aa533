import type { JsonObject } from '../core/json.ts';
import { toCodexDialect } from './codex-request.ts';
import { messagesOf, messagesToItems } from './request-to-responses-messages.ts';
import { parametersToResponses } from './request-to-responses-parameters.ts';
import { toolsToResponses } from './request-to-responses-tools.ts';
import type { Translation } from './translation.ts';

/** A Chat Completions body as a Responses body for the target's dialect. Refuses, with 400, what no Responses body can say. */
export function chatToResponses(body: JsonObject, translation: Translation): JsonObject {
  const { target } = translation;
  // Tools first: the history is read in the light of what they declare.
  const tools = toolsToResponses(body, translation);
  const parameters = parametersToResponses(body, translation);
  const made = {
    model: target.model,
    input: messagesToItems(messagesOf(body), translation),
    ...tools,
    ...parameters,
    ...(translation.upstreamStream && { stream: true }),
  };
  return target.dialect === 'codex' ? toCodexDialect(made, translation) : made;
}
