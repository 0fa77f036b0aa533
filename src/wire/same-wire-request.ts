import type { JsonObject, JsonValue } from '../core/json.ts';
import { arrayAt, isJsonObject, objectAt, stringAt } from '../core/json.ts';
import { withTakenNames } from './chat-names.ts';
import { toChatDialect } from './chat-dialect.ts';
import { normalTools } from './chat-tools.ts';
import { codexInput, toCodexDialect } from './codex-request.ts';
import { summaryIn } from './compaction.ts';
import { expandKnownReferences, expandPrevious } from './expand-input.ts';
import type { ClientCall } from './prepared-request.ts';
import { withoutLegacyFunctions } from './legacy-functions.ts';
import { servedEffort } from './reasoning-effort.ts';
import { isRelayReasoning } from './reasoning-envelope.ts';
import type { Translation } from './translation.ts';
import { mapUnlessSame, withMembers } from './unless-same.ts';

/** A chat body for a chat upstream; the very same body where nothing has to change. */
export function chatToChat(body: JsonObject, translation: Translation): JsonObject {
  const tooled = normalTools(withoutLegacyFunctions(withUsage(addressed(body, translation), translation), translation), translation);
  return toChatDialect(withTakenNames(tooled, translation), translation);
}

/** A stream is always asked for its usage: the account book needs it. The answer plan says whether the client did. */
function withUsage(body: JsonObject, { upstreamStream }: Translation): JsonObject {
  const options = objectAt(body, 'stream_options');
  if (!upstreamStream || options?.['include_usage'] === true) return body;
  return { ...body, stream_options: { ...options, include_usage: true } };
}

/** A Responses body for a Responses upstream; the very same body where nothing has to change. */
export function responsesToResponses(given: ClientCall, translation: Translation): JsonObject {
  const { target, memory } = translation;
  const body = given.clientWire === 'chat' ? withCustomCalls(given.body) : given.body;
  const call = body === given.body ? given : { ...given, body };
  if (target.dialect === 'codex' && call.endpoint === 'compact') return forCodexCompact(call, translation);
  if (target.dialect === 'codex') return call.isCodex ? forCodexItself(body, translation) : forCodexBackend(body, translation);
  const previous = stringAt(body, 'previous_response_id');
  const isKnown = previous !== undefined && memory.storedResponse(previous) !== undefined;
  const expanded = isKnown ? withoutLostReasoning(expandPrevious(body, memory)) : expandKnownReferences(body, memory);
  const whole = withoutRelayReasoning(expanded);
  return addressed(withoutChatOptions(call, withEffort(whole, translation)), translation);
}

/** Codex's own body passes unharmed: only what another model or upstream makes of it is mended. */
function forCodexItself(body: JsonObject, translation: Translation): JsonObject {
  const whole = withoutRelayReasoning(continued(body) ? expandPrevious(body, translation.memory) : body);
  return addressed(body['model'] === translation.target.model ? whole : withEffort(whole, translation), translation);
}

function forCodexBackend(body: JsonObject, translation: Translation): JsonObject {
  const whole = withoutLostReasoning(withoutRelayReasoning(expandPrevious(body, translation.memory)));
  return toCodexDialect(withEffort(whole, translation), translation);
}

/** Cursor gets calls of free-form tools in a function's envelope and replays them so: the declaration tells which they are. */
function withCustomCalls(body: JsonObject): JsonObject {
  const input = arrayAt(body, 'input');
  const tools = (arrayAt(body, 'tools') ?? []).filter((tool) => stringAt(tool, 'type') === 'custom').map((tool) => stringAt(tool, 'name'));
  if (!input || tools.length === 0) return body;
  const isCustom = (item: JsonValue): boolean => stringAt(item, 'type') === 'function_call' && tools.includes(stringAt(item, 'name'));
  const ids = new Set(input.filter(isCustom).map((item) => stringAt(item, 'call_id')));
  const items = mapUnlessSame(input, (item) => {
    if (!isJsonObject(item)) return item;
    if (isCustom(item)) return { type: 'custom_tool_call', call_id: item['call_id'], name: item['name'], input: item['arguments'] ?? '' };
    const answers = item['type'] === 'function_call_output' && ids.has(stringAt(item, 'call_id'));
    return answers ? { type: 'custom_tool_call_output', call_id: item['call_id'], output: item['output'] } : item;
  });
  return items === input ? body : { ...body, input: [...items] };
}

function continued(body: JsonObject): boolean {
  return body['previous_response_id'] !== undefined && body['previous_response_id'] !== null;
}

/** Only the address: the model as this upstream calls it, and a stream where it gives nothing else. */
function addressed(body: JsonObject, { target, upstreamStream }: Translation): JsonObject {
  return withMembers(body, { model: target.model, ...(upstreamStream && { stream: true }) });
}

function withEffort(body: JsonObject, { target, notes }: Translation): JsonObject {
  const reasoning = objectAt(body, 'reasoning');
  const asked = stringAt(reasoning, 'effort');
  if (!reasoning || asked === undefined) return body;
  const served = servedEffort(asked, target.efforts, target.dialect);
  if (served === asked) return body;
  if (asked !== 'ultra') notes.adjust('reasoning.effort', asked, served);
  return { ...body, reasoning: { ...reasoning, effort: served } };
}

/**
 * What Relay sealed for a chat upstream is ciphertext no Responses upstream can verify: reasoning stays behind, and a
 * summary in place of a compaction is told in the open, since it holds the only copy of the conversation so far.
 */
function withoutRelayReasoning(body: JsonObject): JsonObject {
  const input = arrayAt(body, 'input');
  if (!input?.some(isSealedByRelay)) return body;
  return { ...body, input: input.flatMap((item) => (isSealedByRelay(item) ? unsealed(item) : [item])) };
}

function unsealed(item: JsonValue): JsonValue[] {
  const summary = summaryIn(item);
  if (summary === undefined) return [];
  return [{ type: 'message', role: 'developer', content: [{ type: 'input_text', text: summary }] }];
}

/** Reasoning without its ciphertext stands for an item in a store: where nothing was stored it is refused. */
function withoutLostReasoning(body: JsonObject): JsonObject {
  const input = arrayAt(body, 'input');
  return input?.some(isLost) === true ? { ...body, input: input.filter((item) => !isLost(item)) } : body;
}

function isLost(item: JsonValue): boolean {
  return stringAt(item, 'type') === 'reasoning' && stringAt(item, 'encrypted_content') === undefined;
}

function isSealedByRelay(item: JsonValue): boolean {
  return isJsonObject(item) && isRelayReasoning(stringAt(item, 'encrypted_content') ?? '');
}

/** Cursor posts a Responses body with chat's `stream_options`, which the Responses API refuses. */
function withoutChatOptions({ clientWire }: ClientCall, body: JsonObject): JsonObject {
  const options = objectAt(body, 'stream_options');
  if (clientWire !== 'chat' || !options || options['include_usage'] === undefined) return body;
  const { include_usage: _, ...rest } = options;
  return withMembers(body, { stream_options: Object.keys(rest).length > 0 ? rest : undefined });
}

/** The compaction endpoint takes less than the other (ChatGPT backend, observed 2026-11). */
function forCodexCompact(call: ClientCall, translation: Translation): JsonObject {
  const whole = withoutLostReasoning(withoutRelayReasoning(expandPrevious(call.body, translation.memory)));
  if (call.isCodex) return addressed(whole, translation);
  const listed = { ...whole, instructions: whole['instructions'] ?? '', input: codexInput(whole['input'], translation) };
  return addressed(withMembers(listed, {
    store: undefined, stream: undefined, text: undefined, tools: undefined, tool_choice: undefined, client_metadata: undefined,
  }), translation);
}
