import type { JsonObject } from '../core/json.ts';
import { arrayAt, objectAt, stringAt } from '../core/json.ts';
import { refuseTool, refuseValue, requireArray, requireObject, requireString } from './refuse-request.ts';
import type { RequestNotes } from './request-notes.ts';
import { functionParameters } from './request-to-responses-tools.ts';

const string = { type: 'string' };
const integer = { type: 'integer' };
const range = { type: 'array', items: integer };
const commands = (...names: readonly string[]): JsonObject => ({ type: 'string', enum: [...names] });

/** Tools that Claude knows by their type alone and the client runs: said out for every other model (Anthropic's tool reference, 2026). */
const KNOWN_BY_TYPE: readonly { readonly type: RegExp; readonly description: string; readonly parameters: JsonObject }[] = [
  {
    type: /^bash_\d+$/,
    description: 'Runs a command in a persistent bash session and returns its output. `restart` starts the session anew.',
    parameters: { type: 'object', properties: { command: string, restart: { type: 'boolean' } } },
  },
  {
    type: /^text_editor_\d+$/,
    description: 'Views, creates and edits text files. `view` shows a file or folder, `create` writes `file_text`, `str_replace` replaces '
      + '`old_str`, which must occur once, by `new_str`, `insert` puts `insert_text` behind line `insert_line`.',
    parameters: {
      type: 'object',
      properties: {
        command: commands('view', 'create', 'str_replace', 'insert'), path: string, file_text: string, old_str: string, new_str: string,
        insert_line: integer, insert_text: string, view_range: range,
      },
      required: ['command', 'path'],
    },
  },
  {
    type: /^memory_\d+$/,
    description: 'Reads and writes notes below /memories that outlive the conversation.',
    parameters: {
      type: 'object',
      properties: {
        command: commands('view', 'create', 'str_replace', 'insert', 'delete', 'rename'), path: string, file_text: string, old_str: string,
        new_str: string, insert_line: integer, insert_text: string, view_range: range, old_path: string, new_path: string,
      },
      required: ['command'],
    },
  },
];

/** Every name a Messages body's tools declare, so that no shortened one takes it. */
export function declaredMessagesNames(body: JsonObject): readonly string[] {
  return (arrayAt(body, 'tools') ?? []).map((tool) => stringAt(tool, 'name')).filter((name) => name !== undefined);
}

/**
 * A Messages body's tools, choice and parallelism in Responses terms; nothing where no tool is left. `referenced` are the
 * tools a search has found: only they are told of those whose loading is deferred.
 */
export function messagesTools(body: JsonObject, referenced: ReadonlySet<string>, notes: RequestNotes): JsonObject {
  const declared = body['tools'] === undefined || body['tools'] === null ? [] : requireArray(body['tools'], 'tools');
  const listed = declared.map((tool, index) => ({ tool: requireObject(tool, `tools[${index}]`), at: `tools[${index}]` }));
  const searchedByApi = listed.some(({ tool }) => isToolSearch(tool));
  const tools = new Map<string, JsonObject>();
  for (const { tool, at } of listed) {
    const name = stringAt(tool, 'name') ?? '';
    const isDeferred = tool['defer_loading'] === true && !searchedByApi && !referenced.has(name);
    const made = isDeferred || isToolSearch(tool) ? undefined : toolToHub(tool, at, notes);
    if (made) tools.set(name, made);
  }
  const choice = objectAt(body, 'tool_choice');
  if (tools.size === 0) {
    if (choice?.['type'] === 'any' && listed[0]) refuseTool('tools[0].type', stringAt(listed[0].tool, 'type') ?? 'unknown');
    return {};
  }
  return {
    tools: [...tools.values()],
    ...choiceToHub(choice, tools),
    ...(choice?.['disable_parallel_tool_use'] === true && { parallel_tool_calls: false }),
  };
}

function isToolSearch(tool: JsonObject): boolean {
  return stringAt(tool, 'type')?.startsWith('tool_search_tool_') === true;
}

function toolToHub(tool: JsonObject, at: string, notes: RequestNotes): JsonObject | undefined {
  const type = stringAt(tool, 'type') ?? 'custom';
  if (type === 'custom') {
    const description = stringAt(tool, 'description');
    return {
      type: 'function',
      name: notes.names.sent(requireString(tool['name'], `${at}.name`)),
      ...(description !== undefined && { description }),
      parameters: functionParameters(tool['input_schema'], `${at}.input_schema`),
      strict: tool['strict'] === true,
    };
  }
  const known = KNOWN_BY_TYPE.find((candidate) => candidate.type.test(type));
  if (known) {
    const name = notes.names.sent(requireString(tool['name'], `${at}.name`));
    return { type: 'function', name, description: known.description, parameters: known.parameters, strict: false };
  }
  if (type.startsWith('web_search_')) return webSearch(tool, at, notes);
  if (type.startsWith('computer_')) refuseTool(`${at}.type`, type);
  notes.drop(`tools:${type.slice(0, 64)}`, `${at}.type`);
  return undefined;
}

function webSearch(tool: JsonObject, at: string, notes: RequestNotes): JsonObject {
  const allowed = arrayAt(tool, 'allowed_domains') ?? [];
  const location = objectAt(tool, 'user_location');
  if ((arrayAt(tool, 'blocked_domains') ?? []).length > 0) notes.drop('tools:blocked_domains', `${at}.blocked_domains`);
  return {
    type: 'web_search',
    ...(allowed.length > 0 && { filters: { allowed_domains: allowed } }),
    ...(location && { user_location: { ...withoutNulls(location), type: 'approximate' } }),
  };
}

function choiceToHub(choice: JsonObject | undefined, tools: ReadonlyMap<string, JsonObject>): JsonObject {
  if (!choice) return {};
  switch (choice['type']) {
    case 'auto':
    case 'none':
      return { tool_choice: choice['type'] };
    case 'any':
      return { tool_choice: 'required' };
    case 'tool': {
      const name = requireString(choice['name'], 'tool_choice.name');
      const tool = tools.get(name);
      // The choice of a tool that no upstream was given goes with that tool.
      if (!tool) return {};
      return { tool_choice: tool['type'] === 'function' ? { type: 'function', name: tool['name'] } : { type: tool['type'] } };
    }
    default:
      refuseValue('tool_choice.type', 'it must be "auto", "any", "tool" or "none".');
  }
}

function withoutNulls(members: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== null));
}
