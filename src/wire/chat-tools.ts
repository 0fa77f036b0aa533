import type { JsonObject, JsonValue } from '../core/json.ts';
import { arrayAt, isJsonObject, objectAt, stringAt } from '../core/json.ts';
import { refuseTool } from './refuse-request.ts';
import type { Translation } from './translation.ts';
import { mapUnlessSame, withMembers } from './unless-same.ts';

/**
 * Tools of a chat body for a chat upstream: flat declarations, which some clients mix in, are nested as the API wants
 * them; an empty list goes with all that hangs on it. The very same body where all is in order.
 */
export function normalTools(body: JsonObject, translation: Translation): JsonObject {
  const tools = arrayAt(body, 'tools');
  if (!tools) return body;
  const nested = mapUnlessSame(tools, (tool) => (isJsonObject(tool) ? nestedTool(tool) : tool));
  const kept = nested.filter((tool, index) => isTakenBy(tool, `tools[${index}].type`, translation));
  if (kept.length === 0 && tools.length > 0 && body['tool_choice'] === 'required') {
    refuseTool('tools[0].type', stringAt(tools[0], 'type') ?? 'unknown');
  }
  if (kept.length === 0) return withMembers(body, { tools: undefined, tool_choice: undefined, parallel_tool_calls: undefined });
  const isSame = nested === tools && kept.length === tools.length;
  return isSame ? body : withMembers(body, { tools: kept, tool_choice: nestedChoice(body['tool_choice']) });
}

/** DeepSeek's and Google's references for their chat endpoints name function tools only (2026). */
function isTakenBy(tool: JsonValue, at: string, { target, notes }: Translation): boolean {
  const type = stringAt(tool, 'type') ?? 'function';
  if (type === 'function' || (target.dialect !== 'deepseek' && target.dialect !== 'gemini')) return true;
  notes.drop(`tools:${type.slice(0, 64)}`, at);
  return false;
}

/** A tool declared flat, as the chat API wants it; any other as it is. */
export function nestedTool(tool: JsonObject): JsonObject {
  const { type, ...members } = tool;
  if ((type !== 'function' && type !== 'custom') || objectAt(tool, type) || typeof tool['name'] !== 'string') return tool;
  if (type === 'function') return { type, function: withMembers(members, { strict: members['strict'] ?? undefined }) };
  const format = objectAt(members, 'format');
  const grammar = format?.['type'] === 'grammar' && !objectAt(format, 'grammar') ? format : undefined;
  if (!grammar) return { type, custom: members };
  const { type: _, ...rule } = grammar;
  return { type, custom: { ...members, format: { type: 'grammar', grammar: rule } } };
}

function nestedChoice(choice: JsonValue | undefined): JsonValue | undefined {
  if (!isJsonObject(choice)) return choice;
  const type = stringAt(choice, 'type');
  const name = stringAt(choice, 'name');
  return name !== undefined && (type === 'function' || type === 'custom') ? { type, [type]: { name } } : choice;
}
