import type { JsonObject, JsonValue } from '../core/json.ts';
import { isJsonObject, objectAt } from '../core/json.ts';

/** Tools the Responses API declares by type alone and the client runs itself; a chat upstream gets them as functions. */
export type HostedTool = 'apply_patch' | 'local_shell' | 'shell';

const HOSTED_TOOLS = ['apply_patch', 'local_shell', 'shell'] as const;

/** The hosted tool a tool declaration or choice of this type stands for. */
export function hostedToolOf(type: string | undefined): HostedTool | undefined {
  return HOSTED_TOOLS.find((tool) => tool === type);
}

/** The hosted tool whose call, or whose call's output, an item of this type is. */
export function hostedToolOfItem(type: string | undefined): HostedTool | undefined {
  return HOSTED_TOOLS.find((tool) => type === `${tool}_call` || type === `${tool}_call_output`);
}

const string = { type: 'string' };
const integer = { type: 'integer' };
const strings = { type: 'array', items: string };

const FUNCTIONS: Readonly<Record<HostedTool, { readonly description: string; readonly parameters: JsonObject }>> = {
  apply_patch: {
    description: 'Creates, updates or deletes one file. `diff` is a V4A diff: the whole file with + lines for create_file, '
      + 'hunks that start with @@ for update_file, left out for delete_file.',
    parameters: {
      type: 'object',
      properties: { type: { type: 'string', enum: ['create_file', 'update_file', 'delete_file'] }, path: string, diff: string },
      required: ['type', 'path'],
    },
  },
  local_shell: {
    description: 'Runs one command on the user\'s machine. `command` is the program and its arguments.',
    parameters: {
      type: 'object',
      properties: { command: strings, working_directory: string, timeout_ms: integer, user: string },
      required: ['command'],
    },
  },
  shell: {
    description: 'Runs shell commands in order and returns their output.',
    parameters: {
      type: 'object',
      properties: { commands: strings, timeout_ms: integer, max_output_length: integer },
      required: ['commands'],
    },
  },
};

/** A hosted tool as a chat function of the name given. Shapes as in the OpenAI SDK 7.57 (2026-11). */
export function hostedFunction(tool: HostedTool, name: string): JsonObject {
  return { type: 'function', function: { name, ...FUNCTIONS[tool] } };
}

/** A hosted call of a Responses history as the function's arguments. */
export function hostedArguments(tool: HostedTool, item: JsonObject): string {
  if (tool === 'apply_patch') return JSON.stringify(objectAt(item, 'operation') ?? {});
  const { type: _, ...action } = objectAt(item, 'action') ?? {};
  return JSON.stringify(action);
}

/**
 * The members that make a model's function arguments a hosted call again: `{operation}` or `{action}`, to be put
 * beside `type`, `id`, `call_id` and `status`. Arguments that are no object become an empty operation or command.
 */
export function hostedCall(tool: HostedTool, callArguments: JsonValue | undefined): JsonObject {
  const members = isJsonObject(callArguments) ? callArguments : {};
  if (tool === 'apply_patch') return { operation: members };
  if (tool === 'shell') return { action: { commands: [], ...members } };
  return { action: { command: [], env: {}, ...members, type: 'exec' } };
}
