/** What the fake upstream answers: one object, a stream of spaced deltas, or a stream that says one word and then waits. */
export type Answer =
  | { readonly kind: 'whole' }
  | { readonly kind: 'stream'; readonly events: number; readonly gapMs: number }
  | { readonly kind: 'hold' };

/** One kind of traffic: what a client sends, and which upstream answers it how. */
export interface Scenario {
  readonly name: string;
  /** The wire the client speaks. */
  readonly client: 'chat' | 'responses';
  /** The wire of the upstream; `codex` is the ChatGPT backend with its quota headers. */
  readonly upstream: UpstreamKind;
  readonly answer: Answer;
  /** About how long the request's body is. */
  readonly bodyBytes: number;
  /** Requests that run at a time. */
  readonly concurrency: number;
  readonly requests: number;
  /** False where the client asks for its answers not to be kept, as Codex does; the Responses API keeps them unless told so. */
  readonly isKept?: false;
}

export type UpstreamKind = 'chat' | 'responses' | 'codex';

/** The paths of each upstream, the same at the upstream itself and through the pass-through. */
export const UPSTREAM_PATHS: Readonly<Record<UpstreamKind, string>> = {
  chat: '/v1/chat/completions',
  responses: '/v1/responses',
  codex: '/backend-api/codex/responses',
};

const CLIENT_PATHS: Readonly<Record<Scenario['client'], string>> = { chat: '/v1/chat/completions', responses: '/v1/responses' };

/** Where a client posts a scenario's requests at Relay. */
export function relayPath({ client }: Scenario): string {
  return CLIENT_PATHS[client];
}

/** The model name that tells the upstream what to answer, and Relay which provider it belongs to. */
export function modelOf({ upstream, answer }: Pick<Scenario, 'upstream' | 'answer'>): string {
  return answer.kind === 'stream' ? `bench-${upstream}-e${answer.events}-g${answer.gapMs}` : `bench-${upstream}-${answer.kind}`;
}

/** What a model name of {@link modelOf} asks for; null for any other name. */
export function answerOf(model: string): Answer | null {
  const match = /^bench-(?:chat|responses|codex)-(?:(whole|hold)|e(\d+)-g(\d+))$/.exec(model);
  if (!match) return null;
  const [, kind, events, gapMs] = match;
  if (kind === 'whole' || kind === 'hold') return { kind };
  return { kind: 'stream', events: Number(events), gapMs: Number(gapMs) };
}

/** The body of a scenario's request. A large one is a long conversation: messages of 8 KiB each. */
export function bodyOf(scenario: Scenario): Buffer {
  const { client, answer, bodyBytes, upstream } = scenario;
  const turns = Math.max(1, Math.round(bodyBytes / 8_192));
  const text = 'All work and no play makes Jack a dull boy. '.repeat(200).slice(0, Math.min(8_100, Math.max(20, bodyBytes - 150)));
  const content = (index: number): string => (turns === 1 ? text : `${index} ${text}`);
  const messages = Array.from({ length: turns }, (_, index) => ({ role: index % 2 === 0 ? 'user' : 'assistant', content: content(index) }));
  const model = modelOf(scenario);
  const stream = answer.kind !== 'whole';
  if (client === 'chat') {
    return Buffer.from(JSON.stringify({ model, messages, stream, ...(stream && { stream_options: { include_usage: true } }) }));
  }
  if (upstream !== 'codex') return Buffer.from(JSON.stringify({ model, input: messages, stream, ...(scenario.isKept === false && { store: false }) }));
  const input = messages.map(({ role, content: words }) => ({
    type: 'message', role, content: [{ type: role === 'user' ? 'input_text' : 'output_text', text: words }],
  }));
  return Buffer.from(JSON.stringify({
    model, instructions: 'You are a coding agent.', input, tools: [], tool_choice: 'auto', parallel_tool_calls: false,
    reasoning: { effort: 'medium', summary: 'auto' }, store: false, stream: true, include: ['reasoning.encrypted_content'],
    prompt_cache_key: 'thread-bench',
  }));
}

/** Headers a scenario's client sends beside its key. */
export function headersOf({ upstream }: Scenario): Readonly<Record<string, string>> {
  const typed = { 'content-type': 'application/json' };
  if (upstream !== 'codex') return typed;
  return { ...typed, originator: 'codex_cli_rs', 'user-agent': 'codex_cli_rs/0.169.0', accept: 'text/event-stream', 'session-id': 'thread-bench' };
}
