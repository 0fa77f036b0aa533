import type { JsonObject } from '../core/json.ts';
import { arrayAt, objectAt, stringAt } from '../core/json.ts';
import { sealReasoning } from './reasoning-envelope.ts';

/** Gathers Gemini's thought signatures from a chat answer: few chat clients send them back, and Google's guide asks for them. */
export interface SignedCalls {
  /** Takes a chunk or a whole completion. */
  take(chunk: JsonObject): void;
  /** The signed calls behind one sealed reasoning item, as Relay keeps them; empty when nothing was signed. */
  items(): readonly JsonObject[];
}

/** An empty collection. */
export function createSignedCalls(): SignedCalls {
  const signatures = new Map<string, string>();
  return {
    take(chunk) {
      for (const choice of arrayAt(chunk, 'choices') ?? []) {
        for (const call of arrayAt(objectAt(choice, 'delta') ?? objectAt(choice, 'message'), 'tool_calls') ?? []) {
          const id = stringAt(call, 'id') ?? '';
          const signature = stringAt(objectAt(objectAt(call, 'extra_content'), 'google'), 'thought_signature');
          if (id !== '' && signature !== undefined) signatures.set(id, signature);
        }
      }
    },
    items() {
      if (signatures.size === 0) return [];
      const sealed = sealReasoning({ reasoningContent: null, reasoningDetails: [], thoughtSignatures: Object.fromEntries(signatures) });
      const calls = [...signatures.keys()].map((id): JsonObject => ({ type: 'function_call', call_id: id }));
      return [{ type: 'reasoning', summary: [], encrypted_content: sealed }, ...calls];
    },
  };
}
