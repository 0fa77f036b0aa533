import type { JsonObject, JsonValue } from '../core/json.ts';
import { arrayAt, isJsonObject, numberAt, objectAt, stringAt } from '../core/json.ts';
import type { NanoUsd } from '../core/units.ts';

/** What tools that run at the upstream may add to a request, beside the tokens of its own input and output. */
export interface ToolBound {
  /** Tokens of what the tools bring back, which the model then reads. */
  readonly input: number;
  /** What is paid by the call or the container, at list price. */
  readonly fees: NanoUsd;
}

/** No tools that run at the upstream. */
export const NO_TOOLS: ToolBound = { input: 0, fees: 0 };
/** Calls of one tool to reckon with where the request sets no `max_tool_calls`; most answers make fewer. */
export const USUAL_TOOL_CALLS = 5;
/** More calls than any answer makes, so that an absurd `max_tool_calls` stays a number. */
const MOST_TOOL_CALLS = 10_000;

/** Of one call, and of the request however many calls there are. */
interface ToolPrice {
  readonly input: number;
  readonly perCall: NanoUsd;
  readonly once: NanoUsd;
}

const CENT = 10_000_000;
const tool = (input: number, perCall: NanoUsd, once: NanoUsd = 0): ToolPrice => ({ input, perCall, once });

/**
 * What a call of each is reckoned at, for reservations only; nothing is ever billed by it. The search fees are OpenAI's as third
 * parties tell them (2026-11), the others a judgement that should be checked against its price page: 1 cent a search, 2.5 for the preview, 0.25 a file search, 3 a container
 * of 1 GB, 25 the dearest picture; `mcp` and `computer` cost their tokens alone. Tokens: the fixed block of 8,000 that a
 * search is billed as where its content is not counted, twenty chunks of 800 for a file search, a page of output or a
 * screenshot for the rest.
 */
const TOOLS: ReadonlyMap<string, ToolPrice> = new Map([
  ['web_search', tool(8_000, CENT)],
  ['web_search_preview', tool(8_000, 2.5 * CENT)],
  ['file_search', tool(16_000, CENT / 4)],
  ['code_interpreter', tool(2_000, 0, 3 * CENT)],
  ['image_generation', tool(2_000, 25 * CENT)],
  ['mcp', tool(8_000, 0)],
  ['computer', tool(2_000, 0)],
  ['computer_use_preview', tool(2_000, 0)],
]);
/** Cents for a container of more memory than 1 GB. */
const LARGER_CONTAINERS: ReadonlyMap<string, number> = new Map([['4g', 12], ['16g', 48], ['64g', 192]]);

/**
 * The most the hosted tools of a request are reckoned to add: every declared tool {@link USUAL_TOOL_CALLS} times, or the
 * dearest of them as often as `max_tool_calls` lets it. Also tools that Codex declares in its input.
 */
export function hostedToolsBound(body: JsonObject): ToolBound {
  const declared = [...(arrayAt(body, 'tools') ?? []), ...toolsInInput(body)].flatMap((each) => priceOf(each) ?? []);
  const searches = objectAt(body, 'web_search_options') === undefined ? [] : [tool(8_000, 2.5 * CENT)];
  const tools = [...declared, ...searches];
  if (tools.length === 0) return NO_TOOLS;
  const once = tools.reduce((sum, each) => sum + each.once, 0);
  const most = numberAt(body, 'max_tool_calls');
  if (most === undefined) {
    const sum = (of: 'input' | 'perCall'): number => tools.reduce((total, each) => total + each[of] * USUAL_TOOL_CALLS, 0);
    return { input: sum('input'), fees: sum('perCall') + once };
  }
  const calls = Math.min(Math.max(0, Math.ceil(most)), MOST_TOOL_CALLS);
  const dearest = (of: 'input' | 'perCall'): number => Math.max(...tools.map((each) => each[of])) * calls;
  return { input: dearest('input'), fees: dearest('perCall') + once };
}

function toolsInInput(body: JsonObject): readonly JsonValue[] {
  const items = arrayAt(body, 'input') ?? [];
  return items.flatMap((item) => (stringAt(item, 'type') === 'additional_tools' ? (arrayAt(item, 'tools') ?? []) : []));
}

function priceOf(declared: JsonValue): ToolPrice | undefined {
  if (!isJsonObject(declared)) return undefined;
  // `web_search_2025_08_26`, `web_search_preview_2025_03_11`: dated names of the same tools.
  const type = (stringAt(declared, 'type') ?? '').replace(/_20\d{2}_\d{2}_\d{2}$/, '');
  const price = TOOLS.get(type);
  const cents = type === 'code_interpreter' ? LARGER_CONTAINERS.get(stringAt(declared['container'], 'memory_limit') ?? '') : undefined;
  return price !== undefined && cents !== undefined ? { ...price, once: cents * CENT } : price;
}
