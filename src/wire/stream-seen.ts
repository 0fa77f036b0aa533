import type { JsonObject } from '../core/json.ts';
import { arrayAt, objectAt, stringAt } from '../core/json.ts';
import type { Seen } from './passage.ts';

/** Notes what a Responses object says of itself: who ran, in which tier, what it used. */
export function noteResponse(seen: Seen, response: JsonObject | undefined): void {
  if (!response) return;
  seen.responseId = stringAt(response, 'id') ?? seen.responseId;
  seen.model = stringAt(response, 'model') ?? seen.model;
  seen.usage = objectAt(response, 'usage') ?? seen.usage;
  // `auto` is what was asked; the terminal event says what was served.
  const tier = stringAt(response, 'service_tier');
  if (tier !== undefined && tier !== 'auto') seen.tier = tier;
}

/** Notes what a Chat Completions chunk or object says of itself. */
export function noteCompletion(seen: Seen, chunk: JsonObject): void {
  seen.responseId ??= stringAt(chunk, 'id') ?? null;
  seen.model ??= stringAt(chunk, 'model') || null;
  seen.usage = objectAt(chunk, 'usage') ?? seen.usage;
  seen.tier = stringAt(chunk, 'service_tier') ?? seen.tier;
}

/** How a finish reason ends an answer; unknown ones count as complete. */
export function terminalOfFinish(finish: string): 'completed' | 'incomplete' | 'failed' {
  if (finish === 'length' || finish === 'max_tokens' || finish === 'content_filter') return 'incomplete';
  return finish === 'error' ? 'failed' : 'completed';
}

/** Notes the output in one chat delta. */
export function noteDelta(seen: Seen, delta: JsonObject | undefined): void {
  if (!delta) return;
  const calls = arrayAt(delta, 'tool_calls') ?? [];
  const characters = ['content', 'refusal'].reduce((sum, key) => sum + (stringAt(delta, key)?.length ?? 0), 0)
    + (stringAt(delta, 'reasoning_content') || stringAt(delta, 'reasoning') || '').length
    + calls.reduce<number>((sum, call) => sum + (stringAt(objectAt(call, 'function'), 'arguments')?.length ?? 0), 0);
  if (characters > 0 || calls.length > 0 || delta.function_call) seen.meaningful = true;
  if (characters === 0) return;
  seen.outputEvents += 1;
  seen.outputCharacters += characters;
}
