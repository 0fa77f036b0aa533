import type { JsonObject, JsonValue } from '../core/json.ts';
import { piecesOf } from './choose-turn.ts';
import type { TurnCall } from './choose-turn.ts';
import { mockId } from './mock-id.ts';
import type { Frame, MockTokens, Rendered, Rendering } from './rendering.ts';
import { frameOf } from './steps.ts';

/** Writes frames with a running `sequence_number`. */
interface Writer {
  readonly frames: Frame[];
  emit(type: string, members: JsonObject, isDelta?: 'delta'): void;
}

/** Writes a turn as the Responses API does (platform and ChatGPT backend, observed 2026-11). */
export function renderResponses(rendering: Rendering): Rendered {
  const { turn, random, step } = rendering;
  const writer = createWriter();
  const id = mockId('resp_', random);
  const begun = responseObject(rendering, { id, status: 'in_progress', output: [], usage: null });
  writer.emit('response.created', { response: begun });
  writer.emit('response.in_progress', { response: begun });

  const output: JsonObject[] = [];
  const add = (write: (writer: Writer, index: number) => JsonObject): void => {
    output.push(write(writer, output.length));
  };
  if (turn.compaction)
    add((to, index) => writeItem(to, index, { id: mockId('cmp_', random), type: 'compaction', encrypted_content: rendering.ciphertext }));
  else {
    if (turn.reasoning !== null) add((to, index) => writeReasoning(to, index, rendering));
    if (turn.text !== null) add((to, index) => writeMessage(to, index, rendering));
    for (const call of turn.calls) add((to, index) => writeCall(to, index, call, mockId(call.kind === 'custom' ? 'ctc_' : 'fc_', random)));
  }

  const status = turn.incomplete === null ? 'completed' : 'incomplete';
  const usage = step.usage === undefined ? responsesUsage(rendering.tokens) : step.usage;
  const whole = responseObject(rendering, { id, status, output, usage });
  const terminal = rendering.flavour === 'codex' ? { ...whole, output: [], ...(turn.calls.length === 0 && { end_turn: true }) } : whole;
  writer.emit(`response.${status}`, { response: terminal });
  return { frames: writer.frames, whole };
}

function createWriter(): Writer {
  const frames: Frame[] = [];
  return {
    frames,
    emit: (type, members, isDelta) => {
      frames.push({ text: frameOf(type, { type, sequence_number: frames.length, ...members }), isDelta: isDelta === 'delta' });
    },
  };
}

function responseObject(
  { task, turn, step, body, createdAtSeconds }: Rendering,
  now: { readonly id: string; readonly status: string; readonly output: JsonObject[]; readonly usage: JsonValue },
): JsonObject {
  const reasoning = { effort: task.effort, summary: task.wantsSummary ? 'auto' : null };
  return {
    id: now.id,
    object: 'response',
    created_at: createdAtSeconds,
    status: now.status,
    background: false,
    error: null,
    incomplete_details: now.status === 'incomplete' ? { reason: turn.incomplete } : null,
    instructions: body['instructions'] ?? null,
    max_output_tokens: task.maxOutputTokens,
    max_tool_calls: null,
    metadata: body['metadata'] ?? {},
    model: step.model ?? task.model,
    output: now.output,
    parallel_tool_calls: task.parallel,
    previous_response_id: body['previous_response_id'] ?? null,
    prompt_cache_key: task.conversation,
    reasoning,
    safety_identifier: null,
    service_tier: step.tier ?? body['service_tier'] ?? 'default',
    store: body['store'] ?? true,
    temperature: body['temperature'] ?? 1,
    text: body['text'] ?? { format: { type: 'text' } },
    tool_choice: body['tool_choice'] ?? 'auto',
    tools: body['tools'] ?? [],
    top_logprobs: 0,
    top_p: body['top_p'] ?? 1,
    truncation: 'disabled',
    ...(now.usage !== null && { usage: now.usage }),
    ...(now.usage === null && now.status === 'in_progress' && { usage: null }),
    user: null,
  };
}

/** Usage in the Responses API's words. */
export function responsesUsage(tokens: MockTokens): JsonObject {
  return {
    input_tokens: tokens.input,
    input_tokens_details: { cached_tokens: tokens.cached, cache_write_tokens: tokens.cacheWrite },
    output_tokens: tokens.output,
    output_tokens_details: { reasoning_tokens: tokens.reasoning },
    total_tokens: tokens.input + tokens.output,
  };
}

function writeItem(writer: Writer, index: number, item: JsonObject): JsonObject {
  writer.emit('response.output_item.added', { output_index: index, item });
  writer.emit('response.output_item.done', { output_index: index, item });
  return item;
}

function writeReasoning(writer: Writer, index: number, { task, turn, step, random, ciphertext }: Rendering): JsonObject {
  const id = mockId('rs_', random);
  const place = { item_id: id, output_index: index, summary_index: 0 };
  const text = turn.reasoning ?? '';
  const shown = task.wantsSummary || step.reasoning !== undefined;
  writer.emit('response.output_item.added', { output_index: index, item: { id, type: 'reasoning', summary: [] } });
  if (shown) {
    writer.emit('response.reasoning_summary_part.added', { ...place, part: { type: 'summary_text', text: '' } });
    for (const delta of piecesOf(text)) writer.emit('response.reasoning_summary_text.delta', { ...place, delta }, 'delta');
    writer.emit('response.reasoning_summary_text.done', { ...place, text });
    writer.emit('response.reasoning_summary_part.done', { ...place, part: { type: 'summary_text', text } });
  }
  const summary = shown ? [{ type: 'summary_text', text }] : [];
  const item: JsonObject = { id, type: 'reasoning', summary, ...(task.wantsCiphertext && { encrypted_content: ciphertext }) };
  writer.emit('response.output_item.done', { output_index: index, item });
  return item;
}

function writeMessage(writer: Writer, index: number, { turn, random }: Rendering): JsonObject {
  const id = mockId('msg_', random);
  const place = { item_id: id, output_index: index, content_index: 0 };
  const text = turn.text ?? '';
  const part = { type: 'output_text', text, annotations: [], logprobs: [] };
  const head = { id, type: 'message', role: 'assistant' };
  writer.emit('response.output_item.added', { output_index: index, item: { ...head, status: 'in_progress', content: [] } });
  writer.emit('response.content_part.added', { ...place, part: { ...part, text: '' } });
  for (const delta of piecesOf(text)) writer.emit('response.output_text.delta', { ...place, delta, logprobs: [] }, 'delta');
  writer.emit('response.output_text.done', { ...place, text, logprobs: [] });
  writer.emit('response.content_part.done', { ...place, part });
  const item: JsonObject = { ...head, status: turn.incomplete === null ? 'completed' : 'incomplete', content: [part] };
  writer.emit('response.output_item.done', { output_index: index, item });
  return item;
}

function writeCall(writer: Writer, index: number, call: TurnCall, id: string): JsonObject {
  const place = { item_id: id, output_index: index };
  const custom = call.kind === 'custom';
  const field = custom ? 'input' : 'arguments';
  const events = custom ? 'response.custom_tool_call_input' : 'response.function_call_arguments';
  // The namespace of Codex's own functions goes without saying.
  const namespace = call.namespace === null || call.namespace === 'functions' ? {} : { namespace: call.namespace };
  const item = (payload: string, status: string): JsonObject => ({
    id, type: custom ? 'custom_tool_call' : 'function_call', status, call_id: call.callId, name: call.name, ...namespace, [field]: payload,
  });
  writer.emit('response.output_item.added', { output_index: index, item: item('', 'in_progress') });
  for (const delta of call.payload.match(/[^]{1,16}/gu) ?? []) {
    writer.emit(`${events}.delta`, { ...place, ...(custom && { call_id: call.callId }), delta }, 'delta');
  }
  writer.emit(`${events}.done`, { ...place, [field]: call.payload });
  const done = item(call.payload, 'completed');
  writer.emit('response.output_item.done', { output_index: index, item: done });
  return done;
}
