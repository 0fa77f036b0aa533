import type { JsonObject, JsonValue } from '../core/json.ts';
import { arrayAt, isJsonObject, objectAt, stringAt } from '../core/json.ts';
import type { RequestNotes } from './request-notes.ts';
import type { DeclaredName } from './tool-names.ts';
import { mapUnlessSame, withMembers } from './unless-same.ts';

/** A free-form tool as a function with one string; the model is told the grammar it must keep to. */
export function wrappedFunction(tool: JsonObject, name: string): JsonObject {
  const format = objectAt(tool, 'format');
  const grammar = stringAt(format, 'definition') ?? stringAt(objectAt(format, 'grammar'), 'definition');
  const syntax = stringAt(format, 'syntax') ?? stringAt(objectAt(format, 'grammar'), 'syntax') ?? 'given';
  const description = [
    stringAt(tool, 'description'),
    'Send the raw text in `input`.',
    grammar === undefined ? undefined : `It must match this ${syntax} grammar:\n${grammar}`,
  ].filter((line) => line !== undefined && line !== '').join('\n\n');
  return { name, description, parameters: { type: 'object', properties: { input: { type: 'string' } }, required: ['input'] } };
}

/**
 * A Responses body for an upstream that speaks Responses but does not know `custom` tools (MiniMax, 2026): declarations,
 * also in namespaces and `additional_tools` items, the choice and the history are told as functions with one string. The
 * very same body where there are none. Every wrapped name is noted, so that its calls can be told as they were declared.
 */
export function withWrappedTools(body: JsonObject, notes: RequestNotes): JsonObject {
  const tools = arrayAt(body, 'tools');
  const input = arrayAt(body, 'input');
  const choice = body['tool_choice'];
  return withMembers(body, {
    ...(tools && { tools: sameOrNew(wrappedTools(tools, null, notes), tools) }),
    ...(input && { input: sameOrNew(mapUnlessSame(input, (item) => wrappedItem(item, notes)), input) }),
    ...(isJsonObject(choice) && { tool_choice: wrappedChoice(choice) }),
  });
}

function sameOrNew(list: readonly JsonValue[], same: JsonValue[]): JsonValue[] {
  return list === same ? same : [...list];
}

function wrappedTools(tools: readonly JsonValue[], namespace: string | null, notes: RequestNotes): readonly JsonValue[] {
  return mapUnlessSame(tools, (tool) => {
    const name = stringAt(tool, 'name');
    if (!isJsonObject(tool) || name === undefined) return tool;
    if (tool['type'] === 'namespace') return withWrappedMembers(tool, name, notes);
    if (tool['type'] !== 'custom') return tool;
    notes.wrappedTools.push({ name, namespace });
    return { type: 'function', ...wrappedFunction(tool, name), strict: false };
  });
}

function withWrappedMembers(holder: JsonObject, namespace: string | null, notes: RequestNotes): JsonObject {
  const tools = arrayAt(holder, 'tools');
  return tools ? withMembers(holder, { tools: sameOrNew(wrappedTools(tools, namespace, notes), tools) }) : holder;
}

/** Ids are left out: that of a free-form call is none a function's call may have. */
function wrappedItem(item: JsonValue, notes: RequestNotes): JsonValue {
  if (!isJsonObject(item)) return item;
  switch (item['type']) {
    case 'additional_tools':
      return withWrappedMembers(item, null, notes);
    case 'custom_tool_call': {
      const { id: _, input, ...rest } = item;
      return { ...rest, type: 'function_call', arguments: JSON.stringify({ input: input ?? '' }) };
    }
    case 'custom_tool_call_output': {
      const { id: _, ...rest } = item;
      return { ...rest, type: 'function_call_output' };
    }
    default:
      return item;
  }
}

function wrappedChoice(choice: JsonObject): JsonObject {
  if (choice['type'] === 'custom') return { ...choice, type: 'function' };
  const tools = choice['type'] === 'allowed_tools' ? arrayAt(choice, 'tools') : undefined;
  if (!tools) return choice;
  const told = mapUnlessSame(tools, (tool) => (isJsonObject(tool) && tool['type'] === 'custom' ? { ...tool, type: 'function' } : tool));
  return withMembers(choice, { tools: sameOrNew(told, tools) });
}

/** Whether a call, by its name and namespace, is one of a wrapped tool. A call that leaves out its namespace means any of that name. */
export function isWrappedCall(item: JsonObject, wrapped: readonly DeclaredName[]): boolean {
  if (item['type'] !== 'function_call') return false;
  const name = stringAt(item, 'name');
  const namespace = stringAt(item, 'namespace');
  return wrapped.some((tool) => tool.name === name && (namespace === undefined || tool.namespace === namespace));
}
