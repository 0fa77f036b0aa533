import type { JsonObject, JsonValue } from '../core/json.ts';
import { arrayAt, isJsonObject, numberAt, objectAt, parseJsonObject, stringAt } from '../core/json.ts';
import type { MessagesOrigin } from '../core/relay-request.ts';
import { referencedTools } from './messages-content.ts';
import { estimateInputTokens } from './messages-count.ts';
import { messagesIn, messagesToItems, systemItems } from './messages-to-items.ts';
import { declaredMessagesNames, messagesTools } from './messages-tools.ts';
import { refuseType, refuseValue, requireArray, requireObject, requireString } from './refuse-request.ts';
import { RequestNotes } from './request-notes.ts';
import { ToolNames } from './tool-names.ts';

/** Read by another step, or by the way back. */
const READ_ELSEWHERE = [
  'model', 'messages', 'system', 'stream', 'tools', 'tool_choice', 'max_tokens', 'stop_sequences', 'temperature', 'top_p', 'thinking',
  'output_config', 'output_format', 'service_tier', 'speed', 'metadata',
];
/** Dropped without a word: no answer differs by them where nothing is cached or edited by name. */
const WITHOUT_EFFECT = ['cache_control', 'context_management', 'betas', 'anthropic_beta', 'anthropic_version', 'diagnostics'];

/** A thinking budget's tokens, as the effort that spends about so much. */
const BUDGET_EFFORTS: readonly (readonly [below: number, effort: string])[] = [
  [4_096, 'low'], [16_384, 'medium'], [Number.POSITIVE_INFINITY, 'high'],
];

/** No strict schema may be nested deeper (OpenAI's guide, 2026-11: 10 levels, each of a few JSON objects). */
const DEEPEST_SCHEMA = 64;

/** A Messages request in the hub's words. */
export interface HubRequest {
  /** A Responses body; the client's own is never changed, pieces of it may stand in it. */
  readonly body: JsonObject;
  readonly origin: MessagesOrigin;
}

/**
 * Brings an Anthropic Messages body into the words of the Responses API, through which it goes to every upstream.
 * `digest` gives lower-case hex, at least 40 characters. Throws a RelayError of status 400 that names the parameter.
 */
export function messagesToResponses(body: JsonObject, digest: (text: string) => string): HubRequest {
  const messages = messagesIn(body);
  const notes = new RequestNotes(false, new ToolNames(declaredMessagesNames(body)), digest);
  // Tools first: the names of the history's calls follow what they declare.
  const tools = messagesTools(body, referencedTools(messages), notes);
  const input = [...systemItems(body['system'], notes), ...messagesToItems(messages, notes)];
  for (const [name, value] of Object.entries(body)) {
    if (value === undefined || value === null || READ_ELSEWHERE.includes(name) || WITHOUT_EFFECT.includes(name)) continue;
    if (name === 'mcp_servers' && Array.isArray(value) && value.length === 0) continue;
    notes.drop(name);
  }
  const thinking = thinkingOf(body);
  const made = {
    model: requireString(body['model'], 'model'),
    input,
    ...tools,
    ...sampling(body),
    ...outputLimit(body),
    ...reasoning(body, thinking),
    ...structuredOutput(body),
    ...serviceTier(body),
    ...conversation(body),
    // The Messages API keeps nothing, and says so.
    store: false,
  };
  return {
    body: made,
    origin: {
      dropped: notes.dropped(),
      stop: stopSequences(body['stop_sequences']),
      toolNames: Object.fromEntries(Object.entries(notes.names.changed()).map(([sent, { name }]) => [sent, name])),
      callIds: Object.fromEntries(notes.callIds),
      thinking,
      inputTokens: estimateInputTokens(body),
    },
  };
}

/** 1 is what comes anyway, and reasoning models refuse to be told so. */
function sampling(body: JsonObject): JsonObject {
  const made: JsonObject = {};
  for (const name of ['temperature', 'top_p']) {
    const value = body[name];
    if (value === undefined || value === null || value === 1) continue;
    if (typeof value !== 'number') refuseType(name, 'a number');
    made[name] = value;
  }
  return made;
}

function outputLimit(body: JsonObject): JsonObject {
  const limit = body['max_tokens'];
  if (limit === undefined || limit === null) return {};
  if (typeof limit !== 'number' || !Number.isInteger(limit) || limit < 1) refuseType('max_tokens', 'an integer of at least 1');
  return { max_output_tokens: limit };
}

function stopSequences(sequences: JsonValue | undefined): readonly string[] {
  if (sequences === undefined || sequences === null) return [];
  return requireArray(sequences, 'stop_sequences').map((sequence, index) => requireString(sequence, `stop_sequences[${index}]`));
}

function thinkingOf(body: JsonObject): MessagesOrigin['thinking'] {
  if (body['thinking'] === undefined || body['thinking'] === null) return 'off';
  const thinking = requireObject(body['thinking'], 'thinking');
  const type = requireString(thinking['type'], 'thinking.type');
  if (type === 'disabled') return 'off';
  if (type !== 'enabled' && type !== 'adaptive') refuseValue('thinking.type', 'it must be "enabled", "adaptive" or "disabled".');
  return thinking['display'] === 'omitted' ? 'omitted' : 'shown';
}

/** The effort said outright wins over a budget; where neither is, the upstream's own usual effort comes. */
function reasoning(body: JsonObject, thinking: MessagesOrigin['thinking']): JsonObject {
  const asked = objectAt(body, 'thinking');
  const effort = asked?.['type'] === 'disabled' ? 'none' : (stringAt(objectAt(body, 'output_config'), 'effort') ?? effortOfBudget(asked));
  const summary = asked?.['display'] === 'summarized' ? 'auto' : undefined;
  const reasons = thinking !== 'off' || (effort !== undefined && effort !== 'none');
  return {
    ...((effort !== undefined || summary !== undefined) && {
      reasoning: { ...(effort !== undefined && { effort }), ...(summary !== undefined && { summary }) },
    }),
    ...(reasons && { include: ['reasoning.encrypted_content'] }),
  };
}

function effortOfBudget(thinking: JsonObject | undefined): string | undefined {
  const budget = numberAt(thinking, 'budget_tokens');
  return budget === undefined ? undefined : BUDGET_EFFORTS.find(([below]) => budget < below)?.[1];
}

function structuredOutput(body: JsonObject): JsonObject {
  const format = objectAt(objectAt(body, 'output_config'), 'format') ?? objectAt(body, 'output_format');
  if (!format) return {};
  if (format['type'] !== 'json_schema') refuseValue('output_config.format.type', 'it must be "json_schema".');
  const schema = requireObject(format['schema'], 'output_config.format.schema');
  return { text: { format: { type: 'json_schema', name: 'answer', schema, strict: isStrict(schema) } } };
}

/** Whether OpenAI's strict mode takes a schema: every object is closed and needs all its members (its guide, 2026-11). */
function isStrict(schema: JsonValue, depth = 0): boolean {
  if (depth > DEEPEST_SCHEMA) return false;
  if (Array.isArray(schema)) return schema.every((element) => isStrict(element, depth + 1));
  if (!isJsonObject(schema)) return true;
  const properties = objectAt(schema, 'properties');
  const required = arrayAt(schema, 'required') ?? [];
  const isOpen = schema['type'] === 'object' || properties !== undefined
    ? schema['additionalProperties'] !== false || !Object.keys(properties ?? {}).every((name) => required.includes(name))
    : false;
  return !isOpen && Object.values(schema).every((member) => member === undefined || isStrict(member, depth + 1));
}

function serviceTier(body: JsonObject): JsonObject {
  if (body['speed'] === 'fast') return { service_tier: 'priority' };
  return body['service_tier'] === 'standard_only' ? { service_tier: 'default' } : {};
}

/**
 * A conversation is known by the session in `metadata.user_id`, where there is one: Claude Code puts a JSON text there,
 * before 2.1 a name with `_session_`. The user's own id means something to Anthropic only and goes nowhere.
 */
function conversation(body: JsonObject): JsonObject {
  const userId = stringAt(objectAt(body, 'metadata'), 'user_id') ?? '';
  const session = stringAt(parseJsonObject(userId), 'session_id') ?? /_session_([\w-]{8,64})$/.exec(userId)?.[1];
  return session !== undefined && /^[\w-]{8,64}$/.test(session) ? { prompt_cache_key: session } : {};
}
