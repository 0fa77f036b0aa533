import type { ErrorBody } from '../core/errors.ts';
import type { JsonObject } from '../core/json.ts';
import { arrayAt, numberAt, objectAt, stringAt } from '../core/json.ts';
import { compactionItem } from './compaction.ts';
import { errorEnvelope } from './error-frame.ts';
import type { PassageDeps, Seen } from './passage.ts';
import { nothingSeen } from './passage.ts';
import type { AnswerPlan } from './prepared-request.ts';
import { toBytes } from './sse-writer.ts';
import { bodyOfFailure, brokenAnswer, noteFailure } from './stream-failure.ts';
import type { EventTeller } from './stream-passage.ts';
import type { BodyTeller } from './whole-passage.ts';
import { usageToResponses } from './whole-usage.ts';
import { createResponseToEvents } from './whole-to-events.ts';

/** What a summary is read from: the fold of the upstream's answer to one response. */
type Summary = Pick<EventTeller, 'seen' | 'response'>;

/**
 * An upstream's summary as the compaction it stands for. Nothing is told before the summary is whole, so that a failure
 * up to its last word can still be dealt with by asking somebody else.
 */
class CompactionAnswer {
  readonly seen: Seen = nothingSeen();
  readonly #plan: AnswerPlan;
  readonly #deps: PassageDeps;
  readonly #summary: Summary;
  #item: JsonObject | null = null;
  #response: JsonObject | null = null;

  constructor(summary: Summary, plan: AnswerPlan, deps: PassageDeps) {
    this.#summary = summary;
    this.#plan = plan;
    this.#deps = deps;
  }

  /** Takes over what the summary's passage has seen; `finish` ends that passage once the upstream has. */
  follow(finish: () => void): void {
    const { terminal, ...seen } = this.#summary.seen;
    Object.assign(this.seen, seen, { meaningful: false });
    if (terminal === null || this.seen.terminal !== null) return;
    if (this.seen.failure === null) finish();
    if (this.seen.failure === null) this.#read(terminal);
    this.seen.terminal = this.seen.failure === null ? 'completed' : 'failed';
    this.seen.meaningful = this.seen.failure === null;
  }

  last(): readonly Uint8Array[] {
    if (this.seen.failure !== null) return [this.errorFrame(bodyOfFailure(this.seen.failure))];
    const response = this.#response ?? {};
    if (this.#plan.compaction === 'object' || !this.#plan.clientStream) return [toBytes(JSON.stringify(response))];
    const { out, last } = createResponseToEvents(this.#plan, this.#deps).tell(response, new Uint8Array());
    return [...out, ...(last ?? [])];
  }

  readonly items = (): readonly JsonObject[] => (this.#item === null ? [] : [this.#item]);

  readonly response = (): JsonObject | null => this.#response;

  readonly errorFrame = (error: ErrorBody): Uint8Array =>
    this.#plan.clientStream ? createResponseToEvents(this.#plan, this.#deps).errorFrame(error) : errorEnvelope(error);

  #read(terminal: Seen['terminal']): void {
    const told = this.#summary.response() ?? {};
    const summary = textOf(told).trim();
    // Half a summary would lose the other half of the conversation without a word.
    if (terminal === 'incomplete' || summary === '') {
      const fault = terminal === 'incomplete' ? 'stopped in the middle of the summary' : 'gave no summary';
      return noteFailure(this.seen, brokenAnswer(`The upstream ${fault} it was asked for.`));
    }
    this.#item = compactionItem(this.#deps.makeId('cmp_'), summary);
    const usage = objectAt(told, 'usage') ?? usageToResponses(null);
    this.#response = this.#plan.compaction === 'item'
      ? { ...told, output: [this.#item], usage }
      : {
        id: this.#deps.makeId('resp_'), object: 'response.compaction', created_at: numberAt(told, 'created_at') ?? this.#deps.nowSeconds(),
        output: [this.#item], usage,
      };
  }
}

/** Tells the stream of a summary as a compaction. */
export function createCompactionEvents(summary: EventTeller, plan: AnswerPlan, deps: PassageDeps): EventTeller {
  const answer = new CompactionAnswer(summary, plan, deps);
  const after = (step: () => void): void => {
    step();
    answer.follow(() => summary.finish());
  };
  return {
    seen: answer.seen,
    take: (event) => after(() => summary.take(event)),
    done: () => after(() => summary.done()),
    end: () => after(() => summary.end()),
    drain: () => [],
    finish: () => answer.last(),
    items: answer.items,
    response: answer.response,
    errorFrame: answer.errorFrame,
  };
}

/** Tells a whole summary as a compaction. */
export function createCompactionBody(summary: BodyTeller, plan: AnswerPlan, deps: PassageDeps): BodyTeller {
  const answer = new CompactionAnswer(summary, plan, deps);
  return {
    seen: answer.seen,
    tell(body, bytes) {
      summary.tell(body, bytes);
      answer.follow(() => {});
      return { out: [], last: answer.last() };
    },
    items: answer.items,
    response: answer.response,
    errorFrame: answer.errorFrame,
  };
}

/** The words of a response's messages; reasoning is not part of a summary. */
function textOf(response: JsonObject): string {
  const messages = (arrayAt(response, 'output') ?? []).filter((item) => stringAt(item, 'type') === 'message');
  return messages.flatMap((message) => arrayAt(message, 'content') ?? []).map((part) => stringAt(part, 'text') ?? '').join('');
}
