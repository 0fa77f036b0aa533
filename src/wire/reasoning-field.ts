import type { JsonObject } from '../core/json.ts';

/**
 * Where a chat client is told reasoning, for which chat has no place of its own: `reasoning_content` (DeepSeek's name, which
 * most clients read), `reasoning` (OpenRouter's and newer vLLM's), both, nowhere, or inside the text between think tags.
 */
export const REASONING_FIELDS = ['reasoning_content', 'reasoning', 'both', 'none', 'think-tags'] as const;
export type ReasoningField = (typeof REASONING_FIELDS)[number];

/** What opens a thought inside the text. */
export const THINK_BEGIN = '<think>';
/** What ends it. */
export const THINK_END = '</think>';

/** The members of a delta that tell a piece of reasoning; none where the client is to be spared it. */
export function reasoningMembers(field: Exclude<ReasoningField, 'think-tags'>, text: string): JsonObject {
  return {
    ...((field === 'reasoning_content' || field === 'both') && { reasoning_content: text }),
    ...((field === 'reasoning' || field === 'both') && { reasoning: text }),
  };
}
