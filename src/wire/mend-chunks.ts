import type { JsonObject, JsonValue } from '../core/json.ts';
import { arrayAt, isJsonObject, numberAt, objectAt, stringAt } from '../core/json.ts';
import type { AnswerPlan } from './prepared-request.ts';
import { THINK_BEGIN, THINK_END, reasoningMembers } from './reasoning-field.ts';
import { clientTool, customTool } from './stream-names.ts';
import type { StopCutter } from './stream-to-chat-stop.ts';
import { createStopCutter } from './stream-to-chat-stop.ts';
import { unwrapCustomInput } from './stream-to-responses-calls.ts';

/** Brings a chat upstream's chunks into the words of a chat client whose request had to be changed. */
export interface ChunkMender {
  /** The chunk as the client is told it; one with a finish reason carries all that was held back. */
  take(chunk: JsonObject): JsonObject;
  /** Every choice so far was cut at a stop sequence: nothing more is to be told. */
  readonly isCut: boolean;
}

/** True where a chat answer cannot pass to its chat client as it comes. */
export function needsMending(plan: AnswerPlan): boolean {
  const { legacyFunctions, reasoningField, toolNames, customTools, stop } = plan;
  if (plan.clientWire !== 'chat' || plan.upstreamWire !== 'chat') return false;
  if (legacyFunctions || reasoningField !== undefined || stop.length > 0) return true;
  if (Object.keys(toolNames).length > 0) return true;
  return Object.values(customTools).some((kind) => kind === 'wrapped' || kind === 'wrapped-nested');
}

/** A call whose arguments wait for their end, since only the whole of them can be unwrapped. */
interface HeldCall {
  readonly index: number;
  readonly id: string | null;
  readonly kind: 'wrapped' | 'wrapped-nested';
  text: string;
}

/** What one choice has come to. */
interface ChoiceState {
  readonly cutter: StopCutter;
  readonly held: HeldCall[];
  /** Index of the one call that a client of 2023 can be told. */
  onlyCall: number | null;
  isThinking: boolean;
  isCut: boolean;
}

/** A mender for one answer. */
export function createChunkMender(plan: AnswerPlan): ChunkMender {
  const states = new Map<number, ChoiceState>();
  const stateOf = (choice: JsonObject): ChoiceState => {
    const index = numberAt(choice, 'index') ?? 0;
    const state = states.get(index)
      ?? { cutter: createStopCutter(plan.stop), held: [], onlyCall: null, isThinking: false, isCut: false };
    states.set(index, state);
    return state;
  };
  return {
    take(chunk) {
      const choices = arrayAt(chunk, 'choices');
      if (!choices) return chunk;
      return { ...chunk, choices: choices.map((choice) => (isJsonObject(choice) ? mendChoice(choice, stateOf(choice), plan) : choice)) };
    },
    get isCut() {
      return states.size > 0 && [...states.values()].every((state) => state.isCut);
    },
  };
}

function mendChoice(choice: JsonObject, state: ChoiceState, plan: AnswerPlan): JsonObject {
  const finish = stringAt(choice, 'finish_reason') || null;
  const { tool_calls: calls, ...delta } = withText(objectAt(choice, 'delta') ?? {}, state, plan, finish);
  const told = state.isCut ? [] : [
    ...(Array.isArray(calls) ? calls : []).flatMap((call, at) => (isJsonObject(call) ? mendCall(call, at, state, plan) : [call])),
    ...(finish === null ? [] : state.held.splice(0).map(unwrapped)),
  ];
  const reason = state.isCut ? 'stop' : finish === 'tool_calls' && plan.legacyFunctions ? 'function_call' : finish;
  return { ...choice, delta: { ...delta, ...callMembers(told, state, plan) }, finish_reason: reason };
}

/** Content and reasoning: moved to where the client reads it, and cut where the client said. */
function withText(delta: JsonObject, state: ChoiceState, plan: AnswerPlan, finish: string | null): JsonObject {
  const { content, ...rest } = delta;
  const thought = stringAt(delta, 'reasoning_content') || stringAt(delta, 'reasoning') || '';
  const moved = plan.reasoningField === undefined ? rest : withoutReasoning(rest);
  if (state.isCut) return withoutReasoning(rest);
  const inTags = plan.reasoningField === 'think-tags' ? tagged(thought, state, typeof content === 'string' && content !== ''
    || Array.isArray(delta['tool_calls']) || finish !== null) : '';
  const beside = plan.reasoningField === undefined || plan.reasoningField === 'think-tags' || thought === ''
    ? {} : reasoningMembers(plan.reasoningField, thought);
  if (typeof content !== 'string') {
    const text = inTags + (finish === null ? '' : state.cutter.rest());
    return { ...moved, ...beside, ...(text !== '' ? { content: text } : content !== undefined && { content }) };
  }
  const cut = state.cutter.take(content);
  state.isCut = cut.stopped;
  const held = finish === null || cut.stopped ? '' : state.cutter.rest();
  return { ...moved, ...beside, content: inTags + cut.text + held };
}

function tagged(thought: string, state: ChoiceState, isOver: boolean): string {
  const begin = thought !== '' && !state.isThinking ? THINK_BEGIN : '';
  const wasThinking = state.isThinking || thought !== '';
  state.isThinking = wasThinking && !isOver;
  return begin + thought + (wasThinking && isOver ? `${THINK_END}\n\n` : '');
}

function withoutReasoning(delta: JsonObject): JsonObject {
  const { reasoning_content: _, reasoning: __, reasoning_details: ___, ...rest } = delta;
  return rest;
}

/** One entry of `tool_calls`; nothing where all it says has to wait. */
function mendCall(call: JsonObject, position: number, state: ChoiceState, plan: AnswerPlan): JsonValue[] {
  const inner = objectAt(call, 'function');
  const name = stringAt(inner, 'name') || undefined;
  const id = stringAt(call, 'id') || null;
  const index = numberAt(call, 'index') ?? position;
  const known = state.held.findLast((held) => held.index === index && (id === null || held.id === id));
  if (known) {
    known.text += stringAt(inner, 'arguments') ?? '';
    return [];
  }
  const told: JsonObject = { ...call, index };
  if (!inner || name === undefined) return [told];
  const declared = clientTool(plan, name).name;
  const kind = customTool(plan, name);
  if (kind !== 'wrapped' && kind !== 'wrapped-nested') return [{ ...told, function: { ...inner, name: declared } }];
  state.held.push({ index, id, kind, text: stringAt(inner, 'arguments') ?? '' });
  if (kind === 'wrapped') return [{ ...told, function: { name: declared, arguments: '' } }];
  const { function: _, ...head } = told;
  return [{ ...head, type: 'custom', custom: { name: declared, input: '' } }];
}

function unwrapped({ index, kind, text }: HeldCall): JsonObject {
  const raw = unwrapCustomInput(text);
  return kind === 'wrapped' ? { index, function: { arguments: raw } } : { index, custom: { input: raw } };
}

/** A client of 2023 is told the first call, in the member it knows. */
function callMembers(calls: readonly JsonValue[], state: ChoiceState, { legacyFunctions }: AnswerPlan): JsonObject {
  if (calls.length === 0) return {};
  if (!legacyFunctions) return { tool_calls: [...calls] };
  state.onlyCall ??= numberAt(calls[0], 'index') ?? 0;
  const own = calls.filter((call) => numberAt(call, 'index') === state.onlyCall).map((call) => objectAt(call, 'function') ?? {});
  return own.length === 0 ? {} : { function_call: Object.assign({}, ...own) };
}
