import type { JsonObject, JsonValue } from '../core/json.ts';
import { isJsonObject } from '../core/json.ts';

/** What Open Responses (2026-04-24) fills in where a request says nothing. Every member is required in the answer. */
const DEFAULTS: JsonObject = {
  previous_response_id: null, instructions: null, tool_choice: 'auto', truncation: 'disabled', parallel_tool_calls: true, top_p: 1,
  presence_penalty: 0, frequency_penalty: 0, top_logprobs: 0, temperature: 1, max_output_tokens: null, max_tool_calls: null, store: true,
  background: false, service_tier: 'default', metadata: {}, safety_identifier: null, prompt_cache_key: null,
};

/** What a response says of itself, beside the echo of its request. */
export interface ResponseFacts {
  readonly id: string;
  /** Unix seconds. */
  readonly createdAt: number;
  readonly model: string;
  readonly tier: string | null;
}

/**
 * A response in progress with all the members of Open Responses' ResponseResource: the client's own request echoed,
 * defaults where it said nothing.
 */
export function newResponse(facts: ResponseFacts, echo: JsonObject): JsonObject {
  const echoed = Object.fromEntries(Object.keys(DEFAULTS).map((key) => [key, echo[key] ?? DEFAULTS[key] ?? null]));
  return {
    id: facts.id,
    object: 'response',
    created_at: facts.createdAt,
    completed_at: null,
    status: 'in_progress',
    incomplete_details: null,
    model: facts.model,
    output: [],
    error: null,
    ...echoed,
    tools: Array.isArray(echo.tools) ? echo.tools.map(wholeTool) : [],
    text: { format: { type: 'text' }, ...(isJsonObject(echo.text) ? echo.text : {}) },
    reasoning: { effort: null, summary: null, ...(isJsonObject(echo.reasoning) ? echo.reasoning : {}) },
    ...(facts.tier !== null && { service_tier: facts.tier }),
    usage: null,
  };
}

function wholeTool(tool: JsonValue): JsonValue {
  if (!isJsonObject(tool) || tool.type !== 'function') return tool;
  return { description: null, parameters: null, strict: null, ...tool };
}
