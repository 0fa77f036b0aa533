import type { JsonObject, JsonValue } from '../core/json.ts';
import { stringAt } from '../core/json.ts';
import { expandPrevious, inputItems } from './expand-input.ts';
import type { ClientCall, RequestMemory, Target } from './prepared-request.ts';
import { openReasoning, sealReasoning } from './reasoning-envelope.ts';

/** What is asked of an upstream that cannot compact: its answer takes the place of everything before it. */
const INSTRUCTION = [
  'Stop here and write a summary of this conversation. It will replace the whole conversation: whoever goes on has nothing else to go by.',
  'Keep what is needed to go on without asking again:',
  '- what the user wants, in the user\'s own words where they matter, and every rule or preference the user or the instructions gave;',
  '- what has been done so far, what was decided and why, and what turned out not to work;',
  '- facts that would be costly to find again: names, paths, commands, values, error messages, results of tools;',
  '- where the work stands now, and what comes next.',
  'Write the summary only, as plain text, without a preface. Do not call tools and do not go on with the work itself.',
].join('\n');

/** Said before a summary, so that it is not taken for instructions of somebody's. */
const PREFACE = 'This summary takes the place of the conversation so far:';

/** Members of a compaction request that its summary is asked with; tools and formats would only lead it astray. */
const KEPT = ['model', 'instructions', 'reasoning', 'prompt_cache_key', 'service_tier', 'safety_identifier', 'user'];

/** Items that belong to one request, not to the conversation. */
const OF_ONE_REQUEST = new Set(['compaction_trigger', 'additional_tools', 'configuration_update']);

/**
 * How a compaction is asked for, where the upstream cannot do it and a summary has to stand in: by the endpoint
 * (`object`), or by a `compaction_trigger` at the end of the input (`item`). Undefined for everything else.
 */
export function compactionBySummary({ endpoint, clientWire, bodyWire, body }: ClientCall, target: Target): 'object' | 'item' | undefined {
  if ((target.wire === 'responses' && target.compacts !== false) || clientWire === 'chat') return undefined;
  if (endpoint === 'compact') return 'object';
  const { input } = body;
  const last = bodyWire === 'responses' && Array.isArray(input) ? input.at(-1) : undefined;
  return stringAt(last, 'type') === 'compaction_trigger' ? 'item' : undefined;
}

/** The Responses body that asks for the summary: the whole history, and behind it what to write. */
export function summaryBody(body: JsonObject, memory: RequestMemory): JsonObject {
  const history = inputItems(expandPrevious(body, memory)).filter((item) => !OF_ONE_REQUEST.has(stringAt(item, 'type') ?? ''));
  const kept = KEPT.flatMap((name) => (body[name] === undefined || body[name] === null ? [] : [[name, body[name]] as const]));
  const question: JsonObject = { type: 'message', role: 'user', content: [{ type: 'input_text', text: INSTRUCTION }] };
  return { ...Object.fromEntries(kept), input: [...history, question], store: false };
}

/** A summary as the compaction item a client keeps in place of its history. */
export function compactionItem(id: string, summary: string): JsonObject {
  const sealed = sealReasoning({ reasoningContent: `${PREFACE}\n\n${summary}`, reasoningDetails: [], thoughtSignatures: {} });
  return { type: 'compaction', id, encrypted_content: sealed };
}

/** The text that stands in a compaction item of Relay's own; undefined for an upstream's, and for any other item. */
export function summaryIn(item: JsonValue): string | undefined {
  if (stringAt(item, 'type')?.startsWith('compaction') !== true) return undefined;
  return openReasoning(stringAt(item, 'encrypted_content'))?.reasoningContent ?? undefined;
}
