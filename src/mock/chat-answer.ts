import type { JsonObject, JsonValue } from '../core/json.ts';
import { piecesOf } from './choose-turn.ts';
import type { TurnCall } from './choose-turn.ts';
import { mockId } from './mock-id.ts';
import type { Frame, MockTokens, Rendered, Rendering } from './rendering.ts';
import { frameOf } from './steps.ts';

/** Writes a turn as Chat Completions does (OpenAI platform, observed 2026-11; `reasoning_content` as DeepSeek has it). */
export function renderChat(rendering: Rendering): Rendered {
  const { task, step, body, random, createdAtSeconds } = rendering;
  const head = {
    id: mockId('chatcmpl-', random), created: createdAtSeconds, model: step.model ?? task.model,
    service_tier: step.tier ?? body['service_tier'] ?? 'default', system_fingerprint: 'fp_mock',
  };
  const usage = step.usage === undefined ? chatUsage(rendering.tokens) : step.usage;
  const indices = Array.from({ length: task.choices }, (_, index) => index);
  const whole: JsonObject = {
    ...head, object: 'chat.completion',
    choices: indices.map((index) => ({ index, message: messageOf(rendering), logprobs: null, finish_reason: finishReason(rendering) })),
    ...(usage !== null && { usage }),
  };

  const frames: Frame[] = [];
  const chunk = (choices: JsonValue[], isDelta: boolean, extra: JsonObject = {}): void => {
    const silent = task.includeUsage && usage !== null ? { usage: null } : {};
    frames.push({ text: frameOf(null, { ...head, object: 'chat.completion.chunk', choices, ...silent, ...extra }), isDelta });
  };
  for (const index of indices) {
    const choice = (delta: JsonObject, finish: string | null = null): JsonObject => ({
      index,
      delta,
      logprobs: null,
      finish_reason: finish,
    });
    chunk([choice({ role: 'assistant', content: rendering.turn.text === null ? null : '', refusal: null })], false);
    for (const delta of deltasOf(rendering)) chunk([choice(delta)], true);
    chunk([choice({}, finishReason(rendering))], false);
  }
  if (task.includeUsage && usage !== null) chunk([], false, { usage });
  frames.push({ text: 'data: [DONE]\n\n', isDelta: false });
  return { frames, whole };
}

function deltasOf({ turn, body, step }: Rendering): readonly JsonObject[] {
  const thoughts = step.reasoning === undefined ? [] : piecesOf(step.reasoning).map((text) => ({ reasoning_content: text }));
  const words = piecesOf(turn.text ?? '').map((content) => ({ content }));
  const legacy = body['functions'] !== undefined && body['tools'] === undefined;
  return [...thoughts, ...words, ...turn.calls.flatMap((call, index) => (legacy ? legacyDeltas(call) : callDeltas(call, index)))];
}

function callDeltas(call: TurnCall, index: number): readonly JsonObject[] {
  const pieces = call.payload.match(/[^]{1,16}/gu) ?? [];
  if (call.kind === 'custom') {
    return [
      { tool_calls: [{ index, id: call.callId, type: 'custom', custom: { name: call.name, input: '' } }] },
      ...pieces.map((input) => ({ tool_calls: [{ index, custom: { input } }] })),
    ];
  }
  return [
    { tool_calls: [{ index, id: call.callId, type: 'function', function: { name: call.name, arguments: '' } }] },
    ...pieces.map((text) => ({ tool_calls: [{ index, function: { arguments: text } }] })),
  ];
}

/** The `functions` dialect of 2023. */
function legacyDeltas(call: TurnCall): readonly JsonObject[] {
  const pieces = call.payload.match(/[^]{1,16}/gu) ?? [];
  return [{ function_call: { name: call.name, arguments: '' } }, ...pieces.map((text) => ({ function_call: { arguments: text } }))];
}

function messageOf({ turn, body, step }: Rendering): JsonObject {
  const legacy = body['functions'] !== undefined && body['tools'] === undefined;
  const [first] = turn.calls;
  const calls = legacy
    ? (first === undefined ? {} : { function_call: { name: first.name, arguments: first.payload } })
    : (turn.calls.length === 0 ? {} : { tool_calls: turn.calls.map(wholeCall) });
  return {
    role: 'assistant', content: turn.text, refusal: null, annotations: [],
    ...(step.reasoning !== undefined && { reasoning_content: step.reasoning }),
    ...calls,
  };
}

function wholeCall(call: TurnCall): JsonObject {
  return call.kind === 'custom'
    ? { id: call.callId, type: 'custom', custom: { name: call.name, input: call.payload } }
    : { id: call.callId, type: 'function', function: { name: call.name, arguments: call.payload } };
}

function finishReason({ turn, body }: Rendering): string {
  if (turn.incomplete !== null) return turn.incomplete === 'max_output_tokens' ? 'length' : 'content_filter';
  if (turn.calls.length === 0) return 'stop';
  return body['functions'] !== undefined && body['tools'] === undefined ? 'function_call' : 'tool_calls';
}

/** Usage in Chat Completions' words. */
export function chatUsage(tokens: MockTokens): JsonObject {
  return {
    prompt_tokens: tokens.input,
    completion_tokens: tokens.output,
    total_tokens: tokens.input + tokens.output,
    prompt_tokens_details: { cached_tokens: tokens.cached, cache_write_tokens: tokens.cacheWrite, audio_tokens: 0 },
    completion_tokens_details: {
      reasoning_tokens: tokens.reasoning,
      audio_tokens: 0,
      accepted_prediction_tokens: 0,
      rejected_prediction_tokens: 0,
    },
  };
}
