import type { Passage, PassageDeps, Seen } from '../../src/wire/passage.ts';
import type { AnswerPlan } from '../../src/wire/prepared-request.ts';

/** A plan that asks nothing special; a test names what it is about. */
export function planFor(plan: Partial<AnswerPlan>): AnswerPlan {
  return {
    clientWire: 'chat',
    upstreamWire: 'responses',
    dialect: 'openai',
    clientStream: true,
    upstreamStream: true,
    native: false,
    includeUsage: false,
    legacyFunctions: false,
    toolNames: {},
    customTools: {},
    hostedTools: {},
    callIds: {},
    stop: [],
    echo: {},
    ...plan,
  };
}

/** Ids that count up, a clock that stands, and the model `asked`. */
export function testDeps(): PassageDeps {
  let made = 0;
  return {
    makeId: (prefix) => {
      made += 1;
      return `${prefix}test${made}`;
    },
    nowSeconds: () => 1_700_000_100,
    model: 'asked',
  };
}

/** What a client and the gateway got of one answer. */
export interface Told {
  /** Everything before the end of the answer. */
  readonly out: string;
  /** The end of the answer; null for a truncation. */
  readonly last: string | null;
  readonly text: string;
  /** Writes, `last` included. */
  readonly pieces: readonly string[];
  readonly seen: Seen;
}

/** Bytes of a text. */
export function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** Feeds chunks to a passage and ends it, as the gateway does. */
export function runPassage(passage: Passage, chunks: readonly (Uint8Array | string)[]): Told {
  const out: Uint8Array[] = [];
  let last: readonly Uint8Array[] | null = null;
  const steps = [...chunks.map((chunk) => () => passage.push(typeof chunk === 'string' ? bytesOf(chunk) : chunk)), () => passage.end()];
  for (const step of steps) {
    const passed = step();
    if (last !== null && (passed.out.length > 0 || passed.last !== null)) throw new Error('a passage spoke after its end');
    out.push(...passed.out);
    last ??= passed.last;
  }
  const before = textOf(out);
  const end = last === null ? null : textOf(last);
  const pieces = [...out, ...(last ?? [])].map((piece) => textOf([piece]));
  return { out: before, last: end, text: before + (end ?? ''), pieces, seen: passage.seen };
}

/** An event of a Responses stream. */
export interface TestEvent {
  readonly type: string;
  readonly [member: string]: unknown;
}

/** A Responses stream of the given events, as upstreams frame it. */
export function responsesStream(events: readonly TestEvent[]): string {
  return events
    .map((event, sequence_number) => `event: ${event.type}\ndata: ${JSON.stringify({ sequence_number, ...event })}\n\n`)
    .join('');
}

/** A Chat Completions stream of the given chunks; the envelope and `[DONE]` are added. */
export function chatStream(chunks: readonly object[]): string {
  const envelope = { id: 'cc', object: 'chat.completion.chunk', created: 1_700_000_000, model: 'm' };
  return [...chunks.map((chunk) => `data: ${JSON.stringify({ ...envelope, ...chunk })}\n\n`), 'data: [DONE]\n\n'].join('');
}

/** A chunk with one delta. */
export function chunkOf(delta: object, finish: string | null = null): object {
  return { choices: [{ index: 0, delta, finish_reason: finish }] };
}

function textOf(pieces: readonly Uint8Array[]): string {
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  return pieces.map((piece) => decoder.decode(piece)).join('');
}
