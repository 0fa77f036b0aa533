import type { JsonObject } from '../core/json.ts';

/** The models of `relay start --mock`. */
export const MOCK_MODELS: readonly string[] = ['relay-mini', 'relay-large'];

/** Slugs of the mock ChatGPT backend; all but the last are Responses-Lite models (Codex 0.169, observed 2026-11). */
export const MOCK_CODEX_MODELS: readonly string[] = [
  'gpt-6.1-sol', 'gpt-6-astra', 'gpt-6-sol', 'gpt-6-luna', 'gpt-6.1-terra', 'gpt-5.6-sol', 'gpt-5.6-terra', 'gpt-5.6-luna', 'gpt-5.5',
];

/** The platform's list. */
export function platformList(models: readonly string[], createdAtSeconds: number): JsonObject {
  return { object: 'list', data: models.map((id) => platformModel(id, createdAtSeconds)) };
}

/** One entry of the platform's list. */
export function platformModel(id: string, createdAtSeconds: number): JsonObject {
  return { id, object: 'model', created: createdAtSeconds, owned_by: 'relay-mock' };
}

/** Codex's catalogue, with the members its client reads. */
export function codexList(models: readonly string[]): JsonObject {
  return { models: models.map(codexModel) };
}

const EFFORTS = ['low', 'medium', 'high', 'xhigh', 'max'];

function codexModel(slug: string, index: number): JsonObject {
  const lite = slug !== 'gpt-5.5';
  return {
    slug, display_name: slug.replace(/^gpt-/, 'GPT-'), description: 'A model of the mock upstream.', default_reasoning_level: 'medium',
    supported_reasoning_levels: EFFORTS.slice(0, lite ? 5 : 4).map((effort) => ({ effort, description: `Reasons with ${effort} effort.` })),
    shell_type: 'unified_exec', visibility: 'list', minimal_client_version: '0.98.0', supported_in_api: true, priority: index + 1,
    availability_nux: null, upgrade: null, base_instructions: 'You are a coding agent.', supports_reasoning_summaries: true,
    default_reasoning_summary: 'auto', support_verbosity: true, default_verbosity: 'low', apply_patch_tool_type: 'freeform',
    truncation_policy: { mode: 'tokens', limit: 10_000 }, supports_parallel_tool_calls: !lite, context_window: 272_000,
    max_context_window: lite ? 872_000 : 272_000, effective_context_window_percent: 95, experimental_supported_tools: [],
    input_modalities: ['text', 'image'], use_responses_lite: lite, tool_mode: lite ? 'code_mode_only' : null,
    service_tiers: [{ id: 'priority', name: 'Fast', description: '1.5x speed' }],
  };
}
