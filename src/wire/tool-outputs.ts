import type { JsonValue } from '../core/json.ts';
import { stringAt } from '../core/json.ts';

/** Which output answers which call, by their positions among a Responses body's items. */
export interface ToolOutputs {
  /** The position of the output that answers the call at `position`; undefined when none came. */
  outputOf(position: number): number | undefined;
  /** Whether the output at `position` answers a call that stands before it. */
  hasCall(position: number): boolean;
}

/**
 * Pairs calls with their outputs. Ids may come again (Ollama and Gemini number theirs anew each turn): an output
 * answers the oldest open call of its id that stands before it.
 */
export function pairOutputs(items: readonly JsonValue[]): ToolOutputs {
  const open = new Map<string, number[]>();
  const outputByCall = new Map<number, number>();
  const answers = new Set<number>();
  for (const [position, item] of items.entries()) {
    const type = stringAt(item, 'type') ?? '';
    const id = stringAt(item, 'call_id') ?? stringAt(item, 'id');
    if (id === undefined) continue;
    if (type === 'function_call' || type === 'custom_tool_call' || /^(?:local_shell|shell|apply_patch)_call$/.test(type)) {
      const waiting = open.get(id);
      if (waiting) waiting.push(position);
      else open.set(id, [position]);
    }
    if (!type.endsWith('_call_output')) continue;
    const call = open.get(id)?.shift();
    if (call === undefined) continue;
    outputByCall.set(call, position);
    answers.add(position);
  }
  return { outputOf: (position) => outputByCall.get(position), hasCall: (position) => answers.has(position) };
}
