import type { UpstreamKind } from './scenario.ts';

/** What stands in front of a delta's text in each wire's events. The text begins with the moment it was sent. */
export const DELTA_MARKS = { chat: Buffer.from('"content":"'), responses: Buffer.from('"delta":"') } as const;

/** How many digits the moment has: microseconds of the machine's monotonic clock, which all processes share. */
export const MOMENT_DIGITS = 15;

/** Now, as {@link MOMENT_DIGITS} digits of microseconds. */
export function moment(): string {
  return String(process.hrtime.bigint() / 1_000n).padStart(MOMENT_DIGITS, '0');
}

const RESPONSE = {
  id: 'resp_bench', object: 'response', created_at: 1_795_000_000, status: 'in_progress', error: null, incomplete_details: null, instructions: null,
  output: [], parallel_tool_calls: true, reasoning: { effort: 'medium', summary: null }, store: false, temperature: 1, text: { format: { type: 'text' } },
  tool_choice: 'auto', tools: [], top_p: 1, truncation: 'disabled', usage: null, metadata: {},
};
const RESPONSE_USAGE = {
  input_tokens: 1_200, input_tokens_details: { cached_tokens: 1_024 }, output_tokens: 300, output_tokens_details: { reasoning_tokens: 64 }, total_tokens: 1_500,
};
const PART = { type: 'output_text', annotations: [], logprobs: [], text: '' };
const ITEM = { id: 'msg_bench', type: 'message', status: 'in_progress', content: [], role: 'assistant' };
const DONE_ITEM = { ...ITEM, status: 'completed', content: [{ ...PART, text: 'done' }] };

const CHUNK = { id: 'chatcmpl-bench', object: 'chat.completion.chunk', created: 1_795_000_000, service_tier: 'default', system_fingerprint: null };
const CHAT_USAGE = {
  prompt_tokens: 1_200, completion_tokens: 300, total_tokens: 1_500, prompt_tokens_details: { cached_tokens: 1_024 }, completion_tokens_details: { reasoning_tokens: 64 },
};

/** An upstream's stream in its three parts; each is written at once. */
export interface Frames {
  /** Before the first delta. */
  readonly head: string;
  delta(index: number): string;
  readonly tail: string;
  readonly whole: string;
  /** A stream that fails before it has said anything. */
  readonly failed: string;
}

/** What an upstream of this kind writes as this model. */
export function framesOf(kind: UpstreamKind, model: string): Frames {
  return kind === 'chat' ? chatFrames(model) : responsesFrames(model);
}

function chatFrames(model: string): Frames {
  const chunk = { ...CHUNK, model };
  return {
    head: data({ ...chunk, choices: [{ index: 0, delta: { role: 'assistant', refusal: null }, finish_reason: null }], usage: null, obfuscation: 'p3f9' }),
    delta: (index) => data({
      ...chunk, choices: [{ index: 0, delta: { content: `${moment()} word ${index}` }, finish_reason: null }], usage: null, obfuscation: 'aX3kLm09',
    }),
    tail: `${data({ ...chunk, choices: [{ index: 0, delta: {}, finish_reason: 'stop' }], usage: null })}${data({ ...chunk, choices: [], usage: CHAT_USAGE })}data: [DONE]\n\n`,
    failed: data({ error: { message: 'on demand', type: 'server_error', code: 'server_error' } }),
    whole: JSON.stringify({
      ...chunk, object: 'chat.completion', usage: CHAT_USAGE,
      choices: [{ index: 0, message: { role: 'assistant', content: 'Done, and well done.', refusal: null, annotations: [] }, logprobs: null, finish_reason: 'stop' }],
    }),
  };
}

function responsesFrames(model: string): Frames {
  const response = { ...RESPONSE, model };
  const completed = { ...response, status: 'completed', output: [DONE_ITEM], usage: RESPONSE_USAGE };
  const place = { item_id: ITEM.id, output_index: 0, content_index: 0 };
  return {
    head: [
      event({ type: 'response.created', sequence_number: 0, response }),
      event({ type: 'response.in_progress', sequence_number: 1, response }),
      event({ type: 'response.output_item.added', sequence_number: 2, output_index: 0, item: ITEM }),
      event({ type: 'response.content_part.added', sequence_number: 3, ...place, part: PART }),
    ].join(''),
    delta: (index) => event({
      type: 'response.output_text.delta', sequence_number: 4 + index, ...place, delta: `${moment()} word ${index}`, logprobs: [], obfuscation: 'aX3kLm09',
    }),
    tail: [
      event({ type: 'response.output_text.done', sequence_number: 90_000, ...place, text: 'done', logprobs: [] }),
      event({ type: 'response.content_part.done', sequence_number: 90_001, ...place, part: { ...PART, text: 'done' } }),
      event({ type: 'response.output_item.done', sequence_number: 90_002, output_index: 0, item: DONE_ITEM }),
      event({ type: 'response.completed', sequence_number: 90_003, response: completed }),
    ].join(''),
    failed: event({ type: 'response.failed', sequence_number: 0, response: { ...response, status: 'failed', error: { code: 'server_error', message: 'on demand' } } }),
    whole: JSON.stringify(completed),
  };
}

function data(value: object): string {
  return `data: ${JSON.stringify(value)}\n\n`;
}

function event(value: { readonly type: string; readonly [member: string]: unknown }): string {
  return `event: ${value.type}\ndata: ${JSON.stringify(value)}\n\n`;
}
