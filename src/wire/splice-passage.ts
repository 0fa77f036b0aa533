import type { ErrorBody } from '../core/errors.ts';
import type { JsonObject } from '../core/json.ts';
import type { Passage, Passed, Seen } from './passage.ts';
import { NOTHING_PASSED } from './passage.ts';
import type { Frame, FrameFields } from './splice-framer.ts';
import { createFramer, readFields } from './splice-framer.ts';
import { MAX_EVENT_SIZE } from './sse-reader.ts';
import { joinBytes, toBytes } from './sse-writer.ts';
import { brokenAnswer, noteFailure } from './stream-failure.ts';

/** What becomes of a frame: it passes as it is, it is left out, it waits for the end, or other bytes go in its place. */
export type Verdict =
  | { readonly kind: 'pass' }
  | { readonly kind: 'drop' }
  /** Held back until the end, and passed after all if a `pass` comes before it. */
  | { readonly kind: 'hold' }
  /** Goes out before the frame, which passes. */
  | { readonly kind: 'precede'; readonly bytes: Uint8Array }
  /** Goes out in place of the frame. */
  | { readonly kind: 'replace'; readonly bytes: Uint8Array }
  /** The answer is over: with the frame itself, or with other bytes. */
  | { readonly kind: 'last'; readonly bytes: Uint8Array | null };

export const PASS: Verdict = { kind: 'pass' };
export const DROP: Verdict = { kind: 'drop' };
export const HOLD: Verdict = { kind: 'hold' };
export const LAST: Verdict = { kind: 'last', bytes: null };

/** Looks at the frames of a splice. Chunks are never written to again, so a judge may keep what it was shown. */
export interface FrameJudge {
  readonly seen: Seen;
  judge(fields: FrameFields): Verdict;
  /** The upstream ended its body: bytes to end the answer with, or null when it is a truncation. */
  end(): Uint8Array | null;
  /** The answer's end after a failure that is none of the upstream's own events. */
  failed(): Uint8Array;
  items(): readonly JsonObject[];
  /** The finished Responses object as it was told; null where there is none. */
  response(): JsonObject | null;
  errorFrame(error: ErrorBody): Uint8Array;
}

const BLANK_LINE = toBytes('\n\n');

/**
 * A passage that hands the upstream's bytes on untouched, frame by frame: neighbours in one chunk stay one piece, and a
 * frame torn over chunks goes out whole, since some readers forget half an event at each network read.
 */
export function createSplicePassage(judge: FrameJudge): Passage {
  const { seen } = judge;
  const run = createRun();
  let held: Uint8Array[] = [];
  let last: readonly Uint8Array[] | null = null;

  const take = (frame: Frame): void => {
    if (last !== null) return;
    const fields = readFields(frame);
    if (fields === undefined) return held.length > 0 ? void held.push(bytesOf(frame)) : run.add(frame);
    seen.events += 1;
    const verdict = judge.judge(fields);
    switch (verdict.kind) {
      case 'drop':
        return;
      case 'hold':
        held.push(bytesOf(frame));
        return;
      case 'last':
        last = [...held, verdict.bytes ?? bytesOf(frame)];
        return;
      case 'precede':
        run.addBytes(verdict.bytes);
        return run.add(frame);
      case 'replace':
        run.addBytes(verdict.bytes);
        return;
      case 'pass':
        for (const bytes of held) run.addBytes(bytes);
        held = [];
        return run.add(frame);
    }
  };
  const framer = createFramer(take, MAX_EVENT_SIZE);
  const endWith = (bytes: Uint8Array | null): void => {
    if (last === null && bytes !== null) last = [...held, bytes].filter((piece) => piece.length > 0);
  };
  const passed = (): Passed => {
    if (framer.overflowed) {
      noteFailure(seen, brokenAnswer('The upstream sent an event that is too large.'));
      endWith(judge.failed());
    }
    return { out: run.drain(), last };
  };
  return {
    seen,
    push(chunk) {
      if (last !== null) return NOTHING_PASSED;
      framer.push(chunk);
      return passed();
    },
    end() {
      if (last !== null) return NOTHING_PASSED;
      const rest = framer.rest();
      if (rest !== null) takeRest(rest, take);
      if (last === null) endWith(judge.end());
      return passed();
    },
    items: () => judge.items(),
    response: () => judge.response(),
    errorFrame: (error) => judge.errorFrame(error),
  };
}

/** A last event without its blank line is taken if it is whole; half an event would swallow the error frame behind it. */
function takeRest(rest: Uint8Array, take: (frame: Frame) => void): void {
  const fields = readFields({ bytes: rest, start: 0, end: rest.length, mayHaveCr: true });
  if (fields === undefined || !isWhole(textOf(fields))) return;
  const bytes = joinBytes([rest, BLANK_LINE]);
  take({ bytes, start: 0, end: bytes.length, mayHaveCr: true });
}

function isWhole(data: string): boolean {
  if (data === '[DONE]') return true;
  try {
    JSON.parse(data);
    return true;
  } catch {
    return false;
  }
}

const decoder = new TextDecoder();

/** The data of a frame as text. */
export function textOf(fields: FrameFields): string {
  return decoder.decode(fields.bytes.subarray(fields.dataStart, fields.dataEnd));
}

/** The event name of a frame; empty when it has none. */
export function nameOf(fields: FrameFields): string {
  return fields.nameStart === fields.nameEnd ? '' : decoder.decode(fields.bytes.subarray(fields.nameStart, fields.nameEnd));
}

function bytesOf({ bytes, start, end }: Frame): Uint8Array {
  return bytes.subarray(start, end);
}

/** Puts frames that stand side by side in one chunk back into one piece. */
function createRun(): { add(frame: Frame): void; addBytes(bytes: Uint8Array): void; drain(): Uint8Array[] } {
  let pieces: Uint8Array[] = [];
  let open: { readonly bytes: Uint8Array; readonly start: number; end: number } | null = null;
  const close = (): void => {
    if (open !== null) pieces.push(open.bytes.subarray(open.start, open.end));
    open = null;
  };
  return {
    add({ bytes, start, end }) {
      if (open !== null && open.bytes === bytes && open.end === start) {
        open.end = end;
        return;
      }
      close();
      open = { bytes, start, end };
    },
    addBytes(bytes) {
      close();
      pieces.push(bytes);
    },
    drain() {
      close();
      const drained = pieces;
      pieces = [];
      return drained;
    },
  };
}
