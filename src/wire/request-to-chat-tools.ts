import type { JsonObject, JsonValue } from '../core/json.ts';
import { arrayAt, isJsonObject, objectAt, stringAt } from '../core/json.ts';
import { nestedTool } from './chat-tools.ts';
import { hostedFunction, hostedToolOf } from './hosted-tools.ts';
import { refuseTool, requireArray, requireObject, requireString } from './refuse-request.ts';
import { functionParameters } from './request-to-responses-tools.ts';
import type { Translation } from './translation.ts';
import { wrappedFunction } from './wrap-custom-tools.ts';

/** A declared tool with where it stands, for messages that name it. */
interface Declared {
  readonly tool: JsonObject;
  readonly at: string;
}

/** Every plain name a Responses body declares, also in `additional_tools` items. */
export function declaredResponsesNames(body: JsonObject, items: readonly JsonValue[]): readonly string[] {
  return declaredTools(body, items)
    .filter(({ tool }) => tool['type'] !== 'namespace')
    .map(({ tool }) => stringAt(tool, 'name') ?? hostedToolOf(stringAt(tool, 'type')))
    .filter((name) => name !== undefined);
}

/** The tools of the body and of its `additional_tools` items (Responses Lite carries all of them there). */
function declaredTools(body: JsonObject, items: readonly JsonValue[]): readonly Declared[] {
  const tools = body['tools'] === undefined || body['tools'] === null ? [] : requireArray(body['tools'], 'tools');
  const additional = items.flatMap((item, position) => {
    if (stringAt(item, 'type') !== 'additional_tools') return [];
    return (arrayAt(item, 'tools') ?? []).map((tool, index) => ({ tool, at: `input[${position}].tools[${index}]` }));
  });
  return [...tools.map((tool, index) => ({ tool, at: `tools[${index}]` })), ...additional]
    .map(({ tool, at }) => ({ tool: requireObject(tool, at), at }));
}

/**
 * Whether a chat upstream is told free-form tools as what they are: OpenAI's own endpoint unless the provider is said not to
 * know them. A chat client that posts a Responses body (Cursor) reads functions only.
 */
function takesCustomTools({ target, clientWire }: Translation): boolean {
  return clientWire === 'responses' && (target.customTools ?? (target.dialect === 'openai' ? 'native' : 'wrapped')) === 'native';
}

/** A Responses body's tools, choice and parallelism for a chat upstream, which runs functions and at most free-form tools. */
export function toolsToChat(body: JsonObject, items: readonly JsonValue[], translation: Translation): JsonObject {
  const declared = declaredTools(body, items);
  const functions = new Map<string, JsonObject>();
  for (const { tool, at } of declared) addTool(functions, tool, at, translation);
  const choice = body['tool_choice'];
  if (functions.size === 0) {
    const [first] = declared;
    if (first && choice === 'required') refuseTool(`${first.at}.type`, stringAt(first.tool, 'type') ?? 'unknown');
    return {};
  }
  const parallel = body['parallel_tool_calls'];
  return {
    tools: [...functions.values()],
    ...choiceToChat(choice, functions, translation),
    ...(typeof parallel === 'boolean' && { parallel_tool_calls: parallel }),
  };
}

/** Adds what a tool becomes. The first of a name wins; what a chat upstream cannot run is dropped and noted. */
function addTool(functions: Map<string, JsonObject>, tool: JsonObject, at: string, translation: Translation): void {
  const type = requireString(tool['type'], `${at}.type`);
  const { notes } = translation;
  if (type === 'namespace') {
    const namespace = requireString(tool['name'], `${at}.name`);
    for (const [index, child] of (arrayAt(tool, 'tools') ?? []).entries()) {
      const where = `${at}.tools[${index}]`;
      addNamed(functions, requireObject(child, where), where, { namespace, translation });
    }
    return;
  }
  if (type === 'function' || type === 'custom') {
    addNamed(functions, tool, at, { namespace: null, translation });
    return;
  }
  const hosted = hostedToolOf(type);
  if (hosted) {
    const name = notes.names.sent(hosted);
    if (functions.has(name)) return;
    notes.hostedTools.set(name, hosted);
    functions.set(name, hostedFunction(hosted, name));
    return;
  }
  if (type.startsWith('computer')) refuseTool(`${at}.type`, type);
  notes.drop(`tools:${type.slice(0, 64)}`, `${at}.type`);
}

function addNamed(
  functions: Map<string, JsonObject>, tool: JsonObject, at: string,
  { namespace, translation }: { readonly namespace: string | null; readonly translation: Translation },
): void {
  const { notes } = translation;
  const nested = objectAt(tool, 'function') ?? objectAt(tool, 'custom') ?? tool;
  const name = notes.names.sent(requireString(nested['name'], `${at}.name`), namespace);
  if (functions.has(name)) return;
  if (tool['type'] === 'custom' && takesCustomTools(translation)) {
    notes.customTools.set(name, 'nested');
    functions.set(name, nestedTool({ type: 'custom', ...freeForm(nested), name }));
    return;
  }
  if (tool['type'] === 'custom') {
    notes.customTools.set(name, 'wrapped');
    functions.set(name, { type: 'function', function: wrappedFunction(nested, name) });
    return;
  }
  const description = stringAt(nested, 'description');
  functions.set(name, {
    type: 'function',
    function: {
      name,
      ...(description !== undefined && { description }),
      parameters: functionParameters(nested['parameters'], `${at}.parameters`),
      ...(typeof nested['strict'] === 'boolean' && { strict: nested['strict'] }),
    },
  });
}

/** What a chat upstream is told of a free-form tool beside its name. */
function freeForm({ description, format }: JsonObject): JsonObject {
  return { ...(typeof description === 'string' && { description }), ...(isJsonObject(format) && { format }) };
}

/** How a tool that was given is named in a choice. */
function choiceOf(name: string, functions: ReadonlyMap<string, JsonObject>): JsonObject {
  const type = stringAt(functions.get(name), 'type') === 'custom' ? 'custom' : 'function';
  return { type, [type]: { name } };
}

/** A choice that names a tool the upstream was not given goes with that tool. */
function choiceToChat(
  choice: JsonValue | undefined, functions: ReadonlyMap<string, JsonObject>, translation: Translation,
): JsonObject {
  if (typeof choice === 'string') return { tool_choice: choice };
  if (!isJsonObject(choice)) return {};
  if (choice['type'] !== 'allowed_tools') {
    const name = chosenName(choice, translation);
    return name !== undefined && functions.has(name) ? { tool_choice: choiceOf(name, functions) } : {};
  }
  const allowed = objectAt(choice, 'allowed_tools') ?? choice;
  const mode = stringAt(allowed, 'mode') ?? 'auto';
  const names = (arrayAt(allowed, 'tools') ?? []).map((tool) => chosenName(tool, translation));
  const tools = names.flatMap((name) => (name !== undefined && functions.has(name) ? [choiceOf(name, functions)] : []));
  if (tools.length === 0) return { tool_choice: 'none' };
  if (translation.target.dialect === 'openai') return { tool_choice: { type: 'allowed_tools', allowed_tools: { mode, tools } } };
  // Others do not know the word: they are given the allowed tools alone.
  return { tools: [...functions].filter(([name]) => names.includes(name)).map(([, tool]) => tool), tool_choice: mode };
}

function chosenName(choice: JsonValue, { notes }: Translation): string | undefined {
  const type = stringAt(choice, 'type');
  const hosted = hostedToolOf(type);
  if (hosted) return notes.names.sent(hosted);
  if (type !== 'function' && type !== 'custom') return undefined;
  const name = stringAt(choice, 'name') ?? stringAt(objectAt(choice, type), 'name');
  return name === undefined ? undefined : notes.names.sent(name, stringAt(choice, 'namespace') ?? null);
}
