import type { JsonObject, JsonValue } from '../core/json.ts';
import { arrayAt, isJsonObject, objectAt, stringAt } from '../core/json.ts';
import type { Wire } from '../core/provider-kind.ts';
import type { ModelChoice } from './resolve-model.ts';

/** Hosted tools that act on the world: work done twice would be done twice (OpenAI's tool types, 2026-11). */
const ACTING_TOOLS = new Set(['mcp', 'computer', 'computer_use_preview', 'code_interpreter', 'programmatic_tool_calling']);

/** False where sending a request a second time could do its work twice: background runs, stored answers, tools with effects. */
export function isReplayable(body: JsonObject, keepsAnswers: boolean): boolean {
  if (body['background'] === true || (body['store'] === true && keepsAnswers)) return false;
  return !(arrayAt(body, 'tools') ?? []).some((tool) => ACTING_TOOLS.has(stringAt(tool, 'type') ?? ''));
}

/** The body with the effort and tier an alias or a suffix fixed; the same object where neither is. */
export function withChoice(body: JsonObject, wire: Wire, { effort, tier }: ModelChoice): JsonObject {
  if (effort === null && tier === null) return body;
  const effortMember = effort === null ? {} : wire === 'chat' ? { reasoning_effort: effort } : { reasoning: { ...objectAt(body, 'reasoning'), effort } };
  return { ...body, ...effortMember, ...(tier !== null && { service_tier: tier }) };
}

/**
 * Whether encrypted reasoning of another account can be taken out: `kept` when there is none, and when a compaction item
 * is there, since that holds the only copy of the conversation so far.
 */
export function ciphertextIn(body: JsonObject): 'removable' | 'kept' {
  const items = arrayAt(body, 'input') ?? [];
  if (items.some((item) => stringAt(item, 'type')?.startsWith('compaction') === true && stringAt(item, 'encrypted_content') !== undefined)) return 'kept';
  return items.some(hasCiphertext) ? 'removable' : 'kept';
}

/** The body without encrypted reasoning: its summaries stay, items that would be empty go with their ids. */
export function withoutCiphertext(body: JsonObject): JsonObject {
  const items = arrayAt(body, 'input');
  if (items === undefined) return body;
  return { ...body, input: [...itemsWithoutCiphertext(items)] };
}

/** Items of a history without encrypted reasoning. */
export function itemsWithoutCiphertext(items: readonly JsonValue[]): readonly JsonValue[] {
  return items.flatMap(stripped);
}

function stripped(item: JsonValue): JsonValue[] {
  if (!isJsonObject(item) || !hasCiphertext(item)) return [item];
  const { encrypted_content: _foreign, id: _theirs, ...kept } = item;
  const summary = arrayAt(item, 'summary') ?? [];
  const content = arrayAt(item, 'content') ?? [];
  return summary.length + content.length > 0 ? [kept] : [];
}

function hasCiphertext(item: JsonValue): boolean {
  return stringAt(item, 'type') === 'reasoning' && stringAt(item, 'encrypted_content') !== undefined;
}
