import { arrayAt, isJsonObject, objectAt, stringAt } from '../core/json.ts';
import type { JsonObject, JsonValue } from '../core/json.ts';
import { failed, refuse } from './steps.ts';
import type { RefuseStep } from './steps.ts';

/** What the ChatGPT backend takes (observed 2026-11); it refuses every other member by name. */
const CODEX_MEMBERS = new Set([
  'model',
  'instructions',
  'input',
  'tools',
  'tool_choice',
  'parallel_tool_calls',
  'reasoning',
  'store',
  'stream',
  'include',
  'prompt_cache_key',
  'text',
  'service_tier',
  'client_metadata',
  'stream_options',
  'access_programs',
]);
const INPUT_PARTS = ['input_text', 'input_image', 'input_file', 'input_audio'];
const OUTPUT_PARTS = ['output_text', 'refusal'];

/** The first fault the ChatGPT backend would find in a request, in its words; null for a good one. */
export function codexFault(body: JsonObject): RefuseStep | null {
  const input = body['input'];
  if (body['store'] !== false) return detail('Store must be set to false');
  if (body['stream'] !== true) return detail('Stream must be set to true');
  if (!Array.isArray(input)) return detail('Input must be a list');
  if (input.length === 0) return detail('Input must not be empty');
  const items = input.filter(isJsonObject);
  if (items.some(({ role }) => role === 'system')) return detail('System messages are not allowed');
  const instructed = typeof body['instructions'] === 'string' || items.some(({ role }) => role === 'developer');
  if (!instructed) return detail('Instructions are required');
  const stranger = Object.keys(body).find((name) => !CODEX_MEMBERS.has(name) && body[name] !== undefined);
  if (stranger !== undefined) return detail(`Unsupported parameter: ${stranger}`);
  if (body['service_tier'] !== undefined && body['service_tier'] !== null && body['service_tier'] !== 'priority')
    return detail('Unsupported parameter: service_tier');
  if (objectAt(body, 'stream_options')?.['include_usage'] !== undefined)
    return detail('Unsupported parameter: stream_options.include_usage');
  if (JSON.stringify(input).includes('"prompt_cache_breakpoint"')) return detail('prompt_cache_breakpoint is not supported on this model');
  return inputFault(items) ?? toolsFault(body);
}

/** The first fault the platform would find in a Responses request; null for a good one. */
export function responsesFault(body: JsonObject): RefuseStep | null {
  const input = body['input'];
  if (typeof body['model'] !== 'string') return invalid("Missing required parameter: 'model'.", 'model', 'missing_required_parameter');
  if (input === undefined && body['previous_response_id'] === undefined)
    return invalid("Missing required parameter: 'input'.", 'input', 'missing_required_parameter');
  if (input !== undefined && typeof input !== 'string' && !Array.isArray(input))
    return invalid("Invalid type for 'input': expected a string or an array.", 'input', 'invalid_type');
  const cap = body['max_output_tokens'];
  if (typeof cap === 'number' && cap < 16)
    return invalid(
      "Invalid 'max_output_tokens': integer below minimum value. Expected a value >= 16.",
      'max_output_tokens',
      'integer_below_min_value',
    );
  const items = (Array.isArray(input) ? input : []).filter(isJsonObject);
  return (body['previous_response_id'] === undefined ? inputFault(items) : null) ?? toolsFault(body);
}

/** The first fault the platform would find in a chat request; null for a good one. */
export function chatFault(body: JsonObject): RefuseStep | null {
  const messages = arrayAt(body, 'messages');
  if (typeof body['model'] !== 'string') return invalid('you must provide a model parameter', 'model', null);
  if (messages === undefined) return invalid("Missing required parameter: 'messages'.", 'messages', 'missing_required_parameter');
  if (messages.length === 0)
    return invalid("Invalid 'messages': empty array. Expected an array with minimum length 1.", 'messages', 'empty_array');
  if (body['stream_options'] !== undefined && body['stream_options'] !== null && body['stream'] !== true) {
    return invalid("The 'stream_options' parameter is only allowed when 'stream' is enabled.", 'stream_options', null);
  }
  return messagesFault(messages.filter(isJsonObject));
}

function messagesFault(messages: readonly JsonObject[]): RefuseStep | null {
  let open = new Set<string>();
  for (const [index, message] of messages.entries()) {
    const role = stringAt(message, 'role') ?? '';
    if (!['system', 'developer', 'user', 'assistant', 'tool', 'function'].includes(role)) {
      return invalid(
        `Invalid value: '${role}'. Supported values are: 'system', 'assistant', 'user', 'function', 'tool', and 'developer'.`,
        `messages[${index}].role`,
        'invalid_value',
      );
    }
    if (role === 'tool') {
      const id = stringAt(message, 'tool_call_id') ?? '';
      if (!open.delete(id))
        return invalid(
          "Invalid parameter: messages with role 'tool' must be a response to a preceding message with 'tool_calls'.",
          `messages[${index}].role`,
          null,
        );
      continue;
    }
    if (open.size > 0) break;
    open = new Set((arrayAt(message, 'tool_calls') ?? []).map((call) => stringAt(call, 'id') ?? ''));
  }
  if (open.size === 0) return null;
  const said = "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'.";
  return invalid(`${said} The following tool_call_ids did not have response messages: ${[...open].join(', ')}`, 'messages', null);
}

/** Parts that fit their role, call ids of a legal length, and a call for every output and the other way round. */
function inputFault(items: readonly JsonObject[]): RefuseStep | null {
  const calls = new Set<string>();
  const outputs = new Set<string>();
  for (const [index, item] of items.entries()) {
    const fault = contentFault(item, `input[${index}]`);
    if (fault !== null) return fault;
    const callId = stringAt(item, 'call_id');
    if (callId === undefined) continue;
    if (callId.length > 64)
      return invalid(
        `Invalid 'input[${index}].call_id': string too long. Expected a string with maximum length 64.`,
        `input[${index}].call_id`,
        'string_above_max_length',
      );
    const type = stringAt(item, 'type') ?? '';
    if (type === 'function_call' || type === 'custom_tool_call') calls.add(callId);
    if (type === 'function_call_output' || type === 'custom_tool_call_output') outputs.add(callId);
  }
  const orphan = [...outputs].find((id) => !calls.has(id));
  if (orphan !== undefined) return invalid(`No tool call found for function call output with call_id ${orphan}.`, 'input', null);
  const unanswered = [...calls].find((id) => !outputs.has(id));
  return unanswered === undefined ? null : invalid(`No tool output found for function call ${unanswered}.`, 'input', null);
}

function contentFault(item: JsonObject, path: string): RefuseStep | null {
  const role = stringAt(item, 'role');
  if (role === undefined) return null;
  const allowed = role === 'assistant' ? OUTPUT_PARTS : INPUT_PARTS;
  const parts = arrayAt(item, 'content') ?? [];
  const bad = parts.findIndex((part) => !allowed.includes(stringAt(part, 'type') ?? ''));
  if (bad < 0) return null;
  const names = allowed.map((name) => `'${name}'`).join(', ');
  return invalid(
    `Invalid value: '${stringAt(parts[bad], 'type') ?? ''}'. Supported values are: ${names}.`,
    `${path}.content[${bad}]`,
    'invalid_value',
  );
}

function toolsFault(body: JsonObject): RefuseStep | null {
  for (const [index, tool] of (arrayAt(body, 'tools') ?? []).entries()) {
    if (stringAt(tool, 'type') === undefined)
      return invalid(`Missing required parameter: 'tools[${index}].type'.`, `tools[${index}].type`, 'missing_required_parameter');
    const needsName = ['function', 'custom', 'namespace'].includes(stringAt(tool, 'type') ?? '');
    const name = stringAt(tool, 'name');
    if (needsName && name === undefined)
      return invalid(`Missing required parameter: 'tools[${index}].name'.`, `tools[${index}].name`, 'missing_required_parameter');
    if (needsName && !/^[\w-]{1,64}$/.test(name ?? '')) {
      return invalid(
        `Invalid 'tools[${index}].name': string does not match pattern. Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'.`,
        `tools[${index}].name`,
        'invalid_value',
      );
    }
  }
  return null;
}

/** Ciphertext that `isOwn` does not vouch for, in the platform's words; null where there is none. */
export function ciphertextFault(body: JsonObject, isOwn: (ciphertext: string) => boolean): RefuseStep | null {
  const foreign = (arrayAt(body, 'input') ?? [])
    .map((item) => stringAt(item, 'encrypted_content'))
    .find((text) => text !== undefined && !isOwn(text));
  if (foreign === undefined) return null;
  const shown = `${foreign.slice(0, 4)}...${foreign.slice(-2)}`;
  return invalid(
    `The encrypted content ${shown} could not be verified. Reason: Encrypted content could not be decrypted or parsed.`,
    null,
    'invalid_encrypted_content',
  );
}

/** 404 for a model the platform does not have. */
export function modelUnknown(model: string): RefuseStep {
  return failed(404, 'model_not_found', `The model \`${model}\` does not exist or you do not have access to it.`);
}

function detail(text: string): RefuseStep {
  return refuse(400, { detail: text });
}

/** 400 in OpenAI's envelope. */
export function invalid(message: string, param: string | null, code: string | null): RefuseStep {
  const error: Record<string, JsonValue> = { message, type: 'invalid_request_error', param, code };
  return refuse(400, { error });
}
