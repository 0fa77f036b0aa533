import type { JsonObject, JsonValue } from '../core/json.ts';
import { arrayAt, isJsonObject, objectAt, stringAt } from '../core/json.ts';
import { refuseType, refuseValue, requireArray, requireObject, requireString } from './refuse-request.ts';
import type { RequestNotes } from './request-notes.ts';
import type { Translation } from './translation.ts';

/** Every name a chat body's tools and functions declare, nested or flat, so that none is given away. */
export function declaredChatNames(body: JsonObject): readonly string[] {
  const tools = arrayAt(body, 'tools') ?? [];
  const names = tools.map((tool) => stringAt(objectAt(tool, 'function') ?? objectAt(tool, 'custom') ?? tool, 'name'));
  const legacy = (arrayAt(body, 'functions') ?? []).map((declared) => stringAt(declared, 'name'));
  return [...names, ...legacy].filter((name) => name !== undefined);
}

/** True for the 2023 dialect: `functions` or `function_call`, and no `tools`. */
export function usesLegacyFunctions(body: JsonObject): boolean {
  const hasTools = (arrayAt(body, 'tools') ?? []).length > 0;
  return !hasTools && (arrayAt(body, 'functions') !== undefined || isPresent(body['function_call']));
}

/**
 * A chat body's tools, choice and parallelism in Responses terms. Nothing at all where no tool is declared: an empty
 * list means something else to some upstreams than none.
 */
export function toolsToResponses(body: JsonObject, translation: Translation): JsonObject {
  const declared = isPresent(body['tools']) ? requireArray(body['tools'], 'tools') : [];
  const tools = declared.map((tool, index) => toolToResponses(tool, `tools[${index}]`, translation));
  if (declared.length === 0 && isPresent(body['functions'])) {
    const functions = requireArray(body['functions'], 'functions');
    tools.push(...functions.map((declaration, index) => {
      const at = `functions[${index}]`;
      return functionTool(requireObject(declaration, at), at, translation.notes);
    }));
  }
  const search = objectAt(body, 'web_search_options');
  if (search) tools.push(webSearchTool(search));
  if (tools.length === 0) return {};
  const choice = toolChoice(body, translation.notes);
  const parallel = body['parallel_tool_calls'];
  return {
    tools,
    ...(choice !== undefined && { tool_choice: choice }),
    ...(isPresent(parallel) && { parallel_tool_calls: parallel }),
  };
}

function isPresent(value: JsonValue | undefined): value is NonNullable<JsonValue> {
  return value !== undefined && value !== null;
}

function toolToResponses(value: JsonValue, at: string, { target, notes }: Translation): JsonObject {
  const tool = requireObject(value, at);
  const type = requireString(tool['type'], `${at}.type`);
  const nested = objectAt(tool, type);
  switch (type) {
    case 'function':
      return functionTool(nested ?? tool, nested ? `${at}.function` : at, notes);
    case 'custom': {
      const name = notes.names.sent(requireString((nested ?? tool)['name'], nested ? `${at}.custom.name` : `${at}.name`));
      notes.customTools.set(name, nested ? 'nested' : 'flat');
      return customTool(nested ?? tool, name);
    }
    default:
      // Other hosted kinds pass: the upstream knows better than a closed list which it runs.
      return target.dialect === 'codex' && type.startsWith('web_search') ? { ...tool, type: 'web_search' } : tool;
  }
}

/** `strict` is said outright: left out, the Responses API makes schemas strict, which chat does not (2026-04). */
function functionTool(declared: JsonObject, at: string, notes: RequestNotes): JsonObject {
  const description = stringAt(declared, 'description');
  return {
    type: 'function',
    name: notes.names.sent(requireString(declared['name'], `${at}.name`)),
    ...(description !== undefined && { description }),
    parameters: functionParameters(declared['parameters'], `${at}.parameters`),
    strict: declared['strict'] === true,
  };
}

/** A function's schema; one for no arguments where none is given. */
export function functionParameters(parameters: JsonValue | undefined, at: string): JsonObject {
  if (!isPresent(parameters)) return { type: 'object', properties: {} };
  if (!isJsonObject(parameters)) refuseType(at, 'a JSON schema object');
  const { type, properties } = parameters;
  if (type === undefined && Object.keys(parameters).length === 0) return { type: 'object', properties: {} };
  return type === 'object' && !isPresent(properties) ? { ...parameters, properties: {} } : parameters;
}

function customTool(declared: JsonObject, name: string): JsonObject {
  const description = stringAt(declared, 'description');
  const format = objectAt(declared, 'format');
  return {
    type: 'custom',
    name,
    ...(description !== undefined && { description }),
    ...(format && { format: flatFormat(format) }),
  };
}

/** Chat nests a grammar one level deeper than Responses. */
function flatFormat(format: JsonObject): JsonObject {
  const grammar = objectAt(format, 'grammar');
  return grammar ? { type: 'grammar', ...grammar } : format;
}

function webSearchTool(options: JsonObject): JsonObject {
  const size = stringAt(options, 'search_context_size');
  const location = objectAt(options, 'user_location');
  return {
    type: 'web_search',
    ...(size !== undefined && { search_context_size: size }),
    ...(location && { user_location: { type: 'approximate', ...(objectAt(location, 'approximate') ?? location) } }),
  };
}

function toolChoice(body: JsonObject, notes: RequestNotes): JsonValue | undefined {
  const choice = body['tool_choice'];
  if (typeof choice === 'string') return choice;
  if (isJsonObject(choice)) return namedChoice(choice, 'tool_choice', notes);
  const legacy = body['function_call'];
  if (typeof legacy === 'string') return legacy;
  return isJsonObject(legacy)
    ? { type: 'function', name: notes.names.sent(requireString(legacy['name'], 'function_call.name')) } : undefined;
}

function namedChoice(choice: JsonObject, at: string, notes: RequestNotes): JsonObject {
  const type = requireString(choice['type'], `${at}.type`);
  if (type === 'function' || type === 'custom') {
    const nested = objectAt(choice, type);
    const name = requireString((nested ?? choice)['name'], nested ? `${at}.${type}.name` : `${at}.name`);
    return { type, name: notes.names.sent(name) };
  }
  if (type !== 'allowed_tools') return choice;
  const allowed = objectAt(choice, 'allowed_tools') ?? choice;
  const mode = stringAt(allowed, 'mode') ?? 'auto';
  if (mode !== 'auto' && mode !== 'required') refuseValue(`${at}.allowed_tools.mode`, 'it must be "auto" or "required".');
  const tools = requireArray(allowed['tools'], `${at}.allowed_tools.tools`);
  return {
    type, mode,
    tools: tools.map((tool, index) => {
      const where = `${at}.allowed_tools.tools[${index}]`;
      return namedChoice(requireObject(tool, where), where, notes);
    }),
  };
}
