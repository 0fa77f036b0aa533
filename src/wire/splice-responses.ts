import type { ErrorBody } from '../core/errors.ts';
import type { JsonObject } from '../core/json.ts';
import { arrayAt, numberAt, objectAt, parseJsonObject, stringAt } from '../core/json.ts';
import { failedResponse } from './error-frame.ts';
import { createItemCollector } from './fold-items.ts';
import type { PassageDeps, Seen } from './passage.ts';
import { nothingSeen } from './passage.ts';
import type { AnswerPlan } from './prepared-request.ts';
import type { FrameFields } from './splice-framer.ts';
import type { FrameJudge, Verdict } from './splice-passage.ts';
import { DROP, LAST, PASS, nameOf, textOf } from './splice-passage.ts';
import type { Scan, WantedMember } from './splice-scan.ts';
import { scanMembers } from './splice-scan.ts';
import { joinBytes, writeResponsesEvent } from './sse-writer.ts';
import { bodyOfFailure, endedInError, noteFailure, readResponsesFailure } from './stream-failure.ts';
import { noteResponse } from './stream-seen.ts';
import { createUnfinishedItems } from './unfinished-items.ts';
import { newResponse } from './whole-response.ts';

/** What a kind of event is to a splice. */
type Kind = 'prelude' | 'metadata' | 'opened' | 'item' | 'terminal' | 'error' | 'delta' | 'other' | 'foreign';

const KINDS: Readonly<Record<string, Kind>> = {
  'response.created': 'prelude', 'response.queued': 'prelude', 'response.in_progress': 'prelude',
  'response.metadata': 'metadata', 'response.output_item.added': 'opened', 'response.output_item.done': 'item',
  'response.completed': 'terminal', 'response.incomplete': 'terminal', 'response.failed': 'terminal', 'response.done': 'terminal',
  'response.cancelled': 'terminal', error: 'error',
};
const DELTA: readonly WantedMember[] = [{ name: 'delta', does: 'count' }];

/**
 * Looks at a Responses stream on its way to a Responses client. Events are told apart by their name or the head of their
 * data; deltas are scanned, never parsed. A terminal event that cannot be read is left out, and so ends as a truncation.
 */
export class ResponsesSplice implements FrameJudge {
  readonly seen: Seen = nothingSeen();
  readonly #plan: AnswerPlan;
  readonly #deps: PassageDeps;
  /** A plain client on the ChatGPT backend: its private events are left out and its terminal event is made whole. */
  readonly #mends: boolean;
  readonly #items = createItemCollector();
  readonly #unfinished = createUnfinishedItems();
  readonly #scan: Scan = { characters: 0, found: 0 };
  #response: JsonObject | null = null;
  #newest: FrameFields | null = null;
  #finished: JsonObject | null = null;
  #passed = 0;
  /** What a synthesised first event adds to the numbers of all behind it: they must not begin with its own. */
  #shift = 0;
  #type = '';

  constructor(plan: AnswerPlan, deps: PassageDeps) {
    this.#plan = plan;
    this.#deps = deps;
    this.#mends = !plan.native && plan.dialect === 'codex';
  }

  judge(fields: FrameFields): Verdict {
    const verdict = this.#judge(fields);
    return this.#shift === 0 ? verdict : this.#renumbered(fields, verdict);
  }

  #judge(fields: FrameFields): Verdict {
    const type = this.#typeOf(fields);
    switch (kindOf(type)) {
      case 'prelude':
        if (this.#response === null) this.#adopt(parseJsonObject(textOf(fields)));
        return this.#pass(fields, type);
      case 'metadata':
        if (type === 'codex.rate_limits') this.seen.rateLimits = parseJsonObject(textOf(fields)) ?? this.seen.rateLimits;
        return this.#mends ? DROP : this.#pass(fields, 'metadata');
      case 'item': {
        const event = this.#plan.native ? undefined : parseJsonObject(textOf(fields));
        if (event) this.#items.take(event);
        if (event && this.#mends) this.#unfinished.finished(event);
        return this.#output(fields, type);
      }
      case 'opened':
        if (this.#mends) this.#unfinished.opened(fields);
        return this.#output(fields, type);
      case 'delta':
        if (this.#mends) this.#unfinished.delta(fields);
        scanMembers(fields.bytes, fields.dataStart, fields.dataEnd, DELTA, this.#scan);
        if (this.#scan.characters > 0) this.seen.outputEvents += 1;
        this.seen.outputCharacters += this.#scan.characters;
        return this.#output(fields, type);
      case 'other':
        return this.#output(fields, type);
      case 'foreign':
        return this.#pass(fields, 'metadata');
      case 'terminal':
      case 'error':
        return this.#end(fields, type);
    }
  }

  end(): Uint8Array | null {
    return null;
  }

  failed(): Uint8Array {
    return this.errorFrame(bodyOfFailure(this.seen.failure ?? endedInError()));
  }

  items(): readonly JsonObject[] {
    return this.#plan.native ? [] : this.#items.items();
  }

  response(): JsonObject | null {
    return this.#finished;
  }

  errorFrame(error: ErrorBody): Uint8Array {
    const response = failedResponse(error, { ...(this.#response ?? this.#newResponse()), output: [...this.items()] });
    return writeResponsesEvent({ type: 'response.failed', sequence_number: this.#nextSequence(), response });
  }

  #output(fields: FrameFields, type: string): Verdict {
    this.seen.meaningful = true;
    return this.#pass(fields, type);
  }

  /** Clients' stream readers insist on `response.created` first, which the ChatGPT backend has been seen to leave out. */
  #pass(fields: FrameFields, type: string): Verdict {
    const begins = this.#passed === 0 && this.#mends && type !== 'response.created' && type !== 'metadata';
    if (type !== 'metadata') this.#passed += 1;
    this.#newest = fields;
    if (!begins) return PASS;
    this.#response ??= this.#newResponse();
    const first = sequenceOf(fields) ?? 1;
    if (first === 0) this.#shift = 1;
    const number = Math.max(0, first - 1);
    return { kind: 'precede', bytes: writeResponsesEvent({ type: 'response.created', sequence_number: number, response: this.#response }) };
  }

  #renumbered(fields: FrameFields, verdict: Verdict): Verdict {
    if (verdict.kind !== 'pass' && verdict.kind !== 'precede' && (verdict.kind !== 'last' || verdict.bytes !== null)) return verdict;
    const event = parseJsonObject(textOf(fields));
    const number = numberAt(event, 'sequence_number');
    if (!event || number === undefined || typeof event.type !== 'string') return verdict;
    const bytes = writeResponsesEvent({ ...event, type: event.type, sequence_number: number + this.#shift });
    if (verdict.kind === 'last') return { kind: 'last', bytes };
    return { kind: 'replace', bytes: verdict.kind === 'precede' ? joinBytes([verdict.bytes, bytes]) : bytes };
  }

  #end(fields: FrameFields, type: string): Verdict {
    const event = parseJsonObject(textOf(fields));
    if (!event) return DROP;
    noteResponse(this.seen, objectAt(event, 'response'));
    if (type === 'error' || type === 'response.failed' || type === 'response.cancelled') {
      const failure = readResponsesFailure(event);
      noteFailure(this.seen, failure);
      if (type === 'response.failed') return LAST;
      return { kind: 'last', bytes: this.errorFrame(bodyOfFailure(failure)) };
    }
    this.#items.take(event);
    this.seen.meaningful = true;
    this.seen.terminal = type === 'response.incomplete' ? 'incomplete' : 'completed';
    const response = objectAt(event, 'response') ?? {};
    const isEmpty = (arrayAt(response, 'output') ?? []).length === 0;
    if (this.#mends && isEmpty) for (const item of this.#unfinished.rest(this.seen.terminal)) this.#items.take(item);
    const items = this.#items.items();
    const lacksItems = this.#mends && items.length > 0 && isEmpty;
    this.#finished = lacksItems ? { ...response, output: [...items] } : response;
    if (!lacksItems && (type !== 'response.done' || this.#plan.native)) return LAST;
    const number = numberAt(event, 'sequence_number');
    const told = {
      ...event, type: `response.${this.seen.terminal}`, ...(number !== undefined && { sequence_number: number + this.#shift }),
      response: { ...response, output: [...items] },
    };
    return { kind: 'last', bytes: writeResponsesEvent(told) };
  }

  /** An event's type; most are of the type before, which is told by comparing. */
  #typeOf(fields: FrameFields): string {
    if (isNamed(fields, this.#type)) return this.#type;
    const type = typeOf(fields);
    // `message` says nothing of the type, so it is never taken for one seen before.
    this.#type = type === 'message' ? '' : type;
    return type;
  }

  #adopt(event: JsonObject | undefined): void {
    this.#response = objectAt(event, 'response') ?? null;
    noteResponse(this.seen, this.#response ?? undefined);
  }

  #newResponse(): JsonObject {
    const { seen } = this;
    const id = seen.responseId ?? this.#deps.makeId('resp_');
    return newResponse({ id, createdAt: this.#deps.nowSeconds(), model: seen.model ?? this.#deps.model, tier: seen.tier }, this.#plan.echo);
  }

  /** One more than the newest event's own number, or a count where it has none. */
  #nextSequence(): number {
    const newest = this.#newest === null ? undefined : sequenceOf(this.#newest);
    return (newest === undefined ? this.#passed : newest + 1) + this.#shift;
  }
}

function sequenceOf(fields: FrameFields): number | undefined {
  return numberAt(parseJsonObject(textOf(fields)), 'sequence_number');
}

function kindOf(type: string): Kind {
  const known = Object.hasOwn(KINDS, type) ? KINDS[type] : undefined;
  if (known !== undefined) return known;
  if (type.startsWith('codex.')) return 'metadata';
  if (!type.startsWith('response.')) return 'foreign';
  return type.endsWith('.delta') ? 'delta' : 'other';
}

/** Whether a frame has this very name; the empty name is none. */
function isNamed({ bytes, nameStart, nameEnd }: FrameFields, name: string): boolean {
  if (name === '' || nameEnd - nameStart !== name.length) return false;
  for (let index = 0; index < name.length; index++) if (bytes[nameStart + index] !== name.charCodeAt(index)) return false;
  return true;
}

const HEAD_LENGTH = 96;
const HEAD = /^\s*\{\s*"type"\s*:\s*"([^"\\]+)"/;
const decoder = new TextDecoder('latin1');

/** An event's type: its name, else the first member of its data, else what its whole data says. */
export function typeOf(fields: FrameFields): string {
  const name = nameOf(fields);
  if (name !== '' && name !== 'message') return name;
  const { bytes, dataStart, dataEnd } = fields;
  const head = HEAD.exec(decoder.decode(bytes.subarray(dataStart, Math.min(dataEnd, dataStart + HEAD_LENGTH))));
  return head?.[1] ?? stringAt(parseJsonObject(textOf(fields)), 'type') ?? '';
}
