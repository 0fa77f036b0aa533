import type { JsonObject, JsonValue } from '../core/json.ts';
import { arrayAt, numberAt, objectAt, stringAt } from '../core/json.ts';
import type { MessagesOrigin } from '../core/relay-request.ts';
import type { ClientCall, PreparedRequest, RequestMemory, Target } from './prepared-request.ts';
import { refuseParameter } from './refuse-request.ts';
import { withMembers } from './unless-same.ts';

/** The hub's words for what a Messages client knows by another. */
const CLIENT_NAMES: Readonly<Record<string, string>> = {
  max_output_tokens: 'max_tokens', 'reasoning.effort': 'output_config.effort', reasoning_effort: 'output_config.effort',
  text: 'output_config.format', parallel_tool_calls: 'tool_choice.disable_parallel_tool_use',
};

/** The least the Responses API takes for `max_output_tokens` (OpenAPI 2.3.0, 2026-08); Claude Code asks for 1 to see whether it may. */
const LEAST_OUTPUT_TOKENS = 16;

/** Prepares a call of the hub's, as for any client. */
type Prepare = (call: ClientCall, target: Target, memory: RequestMemory) => PreparedRequest;

/** Prepares a Messages client's call, whose body is in the hub's words already, for one upstream. */
export function prepareMessages(
  call: ClientCall, origin: MessagesOrigin, target: Target, memory: RequestMemory, prepare: Prepare,
): PreparedRequest {
  const [refused] = target.strict ? origin.dropped : [];
  if (refused !== undefined) refuseParameter(refused, 'Leave it out, or set "strict" to false to have it dropped.');
  const asked = bodyFor(withLimit(origin.thinking === 'off' ? withReplay(call.body, memory) : call.body, target), origin, target);
  const prepared = prepare({ ...call, body: asked.body }, target, memory);
  const { answer } = prepared;
  const toolNames = Object.fromEntries(Object.entries(origin.toolNames).map(([sent, name]) => [sent, { name, namespace: null }]));
  return {
    ...prepared,
    // The client's bytes are in another protocol's words: they never go out as they came.
    changed: true,
    dropped: [...new Set([...origin.dropped, ...asked.dropped, ...raised(call.body, asked.body), ...prepared.dropped.map(clientName)])].toSorted(),
    answer: {
      ...answer,
      messages: origin,
      stop: origin.stop,
      toolNames: { ...answer.toolNames, ...toolNames },
      callIds: { ...answer.callIds, ...origin.callIds },
    },
  };
}

/**
 * The hub body as one upstream is best asked. Thinking that is wanted is asked for where that costs nothing: the platform
 * tells summaries to verified organizations only. An effort is not said to an upstream of which nobody knows whether it
 * reasons: several refuse the word, and Messages clients send it with every model.
 */
function bodyFor(
  body: JsonObject, { thinking }: MessagesOrigin, target: Target,
): { readonly body: JsonObject; readonly dropped: readonly string[] } {
  const reasoning = objectAt(body, 'reasoning') ?? {};
  if (target.dialect === 'codex') {
    const summary = reasoning['summary'] ?? (thinking === 'shown' ? 'auto' : undefined);
    return { body: withMembers(body, { reasoning: summary === undefined ? body['reasoning'] : { ...reasoning, summary } }), dropped: [] };
  }
  const effort = stringAt(reasoning, 'effort');
  const isRisky = target.dialect === 'chat-generic' || (target.dialect === 'openai' && effort === 'none');
  if (effort === undefined || target.efforts.length > 0 || !isRisky) return { body, dropped: [] };
  const { effort: _, ...rest } = reasoning;
  const without = withMembers(body, { reasoning: Object.keys(rest).length > 0 ? rest : undefined });
  return { body: without, dropped: effort === 'none' ? [] : ['output_config.effort'] };
}

function withLimit(body: JsonObject, { wire, dialect }: Target): JsonObject {
  const asked = numberAt(body, 'max_output_tokens');
  if (asked === undefined || asked >= LEAST_OUTPUT_TOKENS || wire === 'chat' || dialect === 'codex') return body;
  return { ...body, max_output_tokens: LEAST_OUTPUT_TOKENS };
}

function raised(before: JsonObject, after: JsonObject): readonly string[] {
  const [asked, sent] = [numberAt(before, 'max_output_tokens'), numberAt(after, 'max_output_tokens')];
  return asked === sent ? [] : [`max_tokens:${asked}->${sent}`];
}

/** Reasoning that stood before a call, put back for a client that was not given it. Each item goes in once. */
function withReplay(body: JsonObject, memory: RequestMemory): JsonObject {
  const replayed = new Set<JsonValue>();
  const input = (arrayAt(body, 'input') ?? []).flatMap((item) => {
    const callId = stringAt(item, 'type') === 'function_call' ? stringAt(item, 'call_id') : undefined;
    const before = callId === undefined ? [] : (memory.reasoningFor(callId) ?? []);
    const fresh = before.filter((thought) => !replayed.has(stringAt(thought, 'id') ?? thought));
    for (const thought of fresh) replayed.add(stringAt(thought, 'id') ?? thought);
    return [...fresh, item];
  });
  return replayed.size > 0 ? { ...body, input } : body;
}

/** What was not honoured, in the client's own words. */
function clientName(dropped: string): string {
  const [name = '', ...rest] = dropped.split(':');
  return [Object.hasOwn(CLIENT_NAMES, name) ? CLIENT_NAMES[name] : name, ...rest].join(':');
}
