import { arrayAt, isJsonObject, numberAt, objectAt, stringAt } from '../core/json.ts';
import type { JsonObject, JsonValue } from '../core/json.ts';
import type { Wire } from '../core/provider-kind.ts';

/** A tool a request offers, out of whichever shape it came in. */
export interface OfferedTool {
  readonly kind: 'function' | 'custom';
  readonly name: string;
  readonly namespace: string | null;
  readonly description: string;
  readonly parameters: JsonObject;
}

/** What a request asks for, in the mock's own terms: the same for both wires. */
export interface Task {
  readonly wire: Wire;
  readonly model: string;
  readonly stream: boolean;
  readonly includeUsage: boolean;
  readonly userText: string;
  readonly images: number;
  /** Outputs of tools since the user last spoke. */
  readonly toolOutputs: readonly string[];
  readonly tools: readonly OfferedTool[];
  readonly choice: 'auto' | 'none' | 'required' | { readonly name: string };
  readonly parallel: boolean;
  /** The answer must be JSON; of this schema where one is given. */
  readonly format: { readonly schema: JsonObject | null } | null;
  readonly effort: string | null;
  readonly wantsSummary: boolean;
  readonly wantsCiphertext: boolean;
  readonly maxOutputTokens: number | null;
  readonly stop: readonly string[];
  readonly choices: number;
  /** The history is to be folded into one item. */
  readonly compaction: boolean;
  /** Characters of input, for a count of tokens. */
  readonly inputCharacters: number;
  readonly conversation: string | null;
}

/** Reads a checked body. Whatever is absent or odd has its ordinary value. */
export function readTask(body: JsonObject, wire: Wire): Task {
  return wire === 'chat' ? readChatTask(body) : readResponsesTask(body);
}

function readResponsesTask(body: JsonObject): Task {
  const input = body['input'];
  const items: readonly JsonObject[] = typeof input === 'string'
    ? [{ type: 'message', role: 'user', content: input }]
    : (Array.isArray(input) ? input : []).filter(isJsonObject);
  const lastUser = items.findLastIndex((item) => item['role'] === 'user');
  const user = items[lastUser];
  const format = objectAt(objectAt(body, 'text'), 'format');
  const carried = items.filter((item) => item['type'] === 'additional_tools').flatMap((item) => arrayAt(item, 'tools') ?? []);
  const include = arrayAt(body, 'include') ?? [];
  return {
    wire: 'responses',
    ...ordinary(body),
    includeUsage: true,
    userText: textOf(user?.['content']),
    images: imagesIn(user?.['content']),
    toolOutputs: items.slice(lastUser + 1).filter((item) => String(item['type']).endsWith('_output')).map((item) => textOf(item['output'])),
    tools: [...(arrayAt(body, 'tools') ?? []), ...carried].flatMap((tool) => readTool(tool, null)),
    format: formatOf(format),
    effort: stringAt(objectAt(body, 'reasoning'), 'effort') ?? null,
    wantsSummary: stringAt(objectAt(body, 'reasoning'), 'summary') !== undefined,
    wantsCiphertext: include.includes('reasoning.encrypted_content'),
    maxOutputTokens: numberAt(body, 'max_output_tokens') ?? null,
    compaction: items.at(-1)?.['type'] === 'compaction_trigger',
    inputCharacters: lengthOf(body['input']) + lengthOf(body['instructions']) + lengthOf(body['tools']),
  };
}

function readChatTask(body: JsonObject): Task {
  const messages = (arrayAt(body, 'messages') ?? []).filter(isJsonObject);
  const lastUser = messages.findLastIndex((message) => message['role'] === 'user');
  const user = messages[lastUser];
  const format = objectAt(body, 'response_format');
  return {
    wire: 'chat',
    ...ordinary(body),
    includeUsage: objectAt(body, 'stream_options')?.['include_usage'] === true,
    userText: textOf(user?.['content']),
    images: imagesIn(user?.['content']),
    toolOutputs: messages
      .slice(lastUser + 1)
      .filter(({ role }) => role === 'tool' || role === 'function')
      .map(({ content }) => textOf(content)),
    tools: [...(arrayAt(body, 'tools') ?? []), ...(arrayAt(body, 'functions') ?? [])].flatMap((tool) => readTool(tool, null)),
    format: formatOf(format?.['type'] === 'json_schema' ? { type: 'json_schema', ...objectAt(format, 'json_schema') } : format),
    effort: stringAt(body, 'reasoning_effort') ?? null,
    wantsSummary: false,
    wantsCiphertext: false,
    maxOutputTokens: numberAt(body, 'max_completion_tokens') ?? numberAt(body, 'max_tokens') ?? null,
    compaction: false,
    inputCharacters: lengthOf(body['messages']) + lengthOf(body['tools']),
  };
}

function ordinary(body: JsonObject): Pick<Task, 'model' | 'stream' | 'choice' | 'parallel' | 'stop' | 'choices' | 'conversation'> {
  const stop = body['stop'];
  return {
    model: stringAt(body, 'model') ?? '',
    stream: body['stream'] === true,
    choice: choiceOf(body['tool_choice'] ?? body['function_call']),
    parallel: body['parallel_tool_calls'] !== false,
    stop: typeof stop === 'string' ? [stop] : (Array.isArray(stop) ? stop : []).filter((text) => typeof text === 'string'),
    choices: Math.min(8, Math.max(1, numberAt(body, 'n') ?? 1)),
    conversation: stringAt(body, 'prompt_cache_key') ?? null,
  };
}

function choiceOf(choice: JsonValue | undefined): Task['choice'] {
  if (choice === 'none' || choice === 'required') return choice;
  if (choice === 'any') return 'required';
  if (!isJsonObject(choice)) return 'auto';
  if (choice['type'] === 'allowed_tools') {
    return (stringAt(choice, 'mode') ?? stringAt(objectAt(choice, 'allowed_tools'), 'mode')) === 'required' ? 'required' : 'auto';
  }
  const name = stringAt(choice, 'name') ?? stringAt(objectAt(choice, 'function'), 'name') ?? stringAt(objectAt(choice, 'custom'), 'name');
  return name === undefined ? 'auto' : { name };
}

/** Function and custom tools of either wire, and those inside a namespace; hosted ones are nobody's to call here. */
function readTool(tool: JsonValue, namespace: string | null): readonly OfferedTool[] {
  if (!isJsonObject(tool)) return [];
  const type = stringAt(tool, 'type') ?? 'function';
  if (type === 'namespace') return (arrayAt(tool, 'tools') ?? []).flatMap((inner) => readTool(inner, stringAt(tool, 'name') ?? null));
  if (type !== 'function' && type !== 'custom') return [];
  const said = objectAt(tool, type) ?? tool;
  const name = stringAt(said, 'name');
  if (name === undefined) return [];
  return [
    { kind: type, name, namespace, description: stringAt(said, 'description') ?? '', parameters: objectAt(said, 'parameters') ?? {} },
  ];
}

function formatOf(format: JsonObject | undefined): Task['format'] {
  if (format?.['type'] === 'json_object') return { schema: null };
  return format?.['type'] === 'json_schema' ? { schema: objectAt(format, 'schema') ?? null } : null;
}

/** The text of a content or an output: a string, or its text parts joined. */
export function textOf(content: JsonValue | undefined): string {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) return '';
  return content.map((part) => (typeof part === 'string' ? part : stringAt(part, 'text') ?? '')).filter((text) => text !== '').join('\n');
}

function imagesIn(content: JsonValue | undefined): number {
  return Array.isArray(content)
    ? content.filter((part) => ['input_image', 'image_url', 'image'].includes(stringAt(part, 'type') ?? '')).length
    : 0;
}

function lengthOf(value: JsonValue | undefined): number {
  return value === undefined ? 0 : JSON.stringify(value).length;
}
