import { joinBytes } from './sse-writer.ts';

const LF = 10;
const CR = 13;

/** One frame of an event stream as it stands on the wire: its lines and the blank line that ends it. */
export interface Frame {
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
  /** False where no line of it ends in CR, so that none need be looked for. */
  readonly mayHaveCr: boolean;
}

/** Cuts an event stream into whole frames without reading them. A frame inside one chunk is a view of it, never a copy. */
export interface Framer {
  push(chunk: Uint8Array): void;
  /** What is left without a blank line, when the stream ends; null when there is nothing. */
  rest(): Uint8Array | null;
  /** True once a frame passed the limit; nothing is framed from then on. */
  readonly overflowed: boolean;
}

/**
 * A framer that calls `onFrame` in order. Every byte is in exactly one frame. Lines end with LF, CR or CRLF; after the first
 * CRLF a frame that seems to end in a lone CR waits for the next byte, so that no pair is torn.
 */
export function createFramer(onFrame: (frame: Frame) => void, maxFrameSize: number): Framer {
  const pending: Uint8Array[] = [];
  let pendingSize = 0;
  let lineIsEmpty = true;
  let afterCr = false;
  let sawCrLf = false;
  let closing = false;
  let overflowed = false;
  let sawCr = false;

  const emit = (chunk: Uint8Array, start: number, end: number): void => {
    closing = false;
    if (pending.length === 0) return onFrame({ bytes: chunk, start, end, mayHaveCr: sawCr });
    pending.push(chunk.subarray(start, end));
    const bytes = joinBytes(pending);
    pending.length = 0;
    pendingSize = 0;
    onFrame({ bytes, start: 0, end: bytes.length, mayHaveCr: sawCr });
  };
  const keep = (chunk: Uint8Array, start: number): void => {
    if (start === chunk.length) return;
    pending.push(chunk.subarray(start));
    pendingSize += chunk.length - start;
    if (pendingSize <= maxFrameSize) return;
    overflowed = true;
    pending.length = 0;
  };
  const scan = (chunk: Uint8Array): void => {
    sawCr ||= chunk.indexOf(CR) !== -1;
    const lineEnd = sawCr ? lineEndFinder(chunk, 0) : lineFeedFinder(chunk);
    let start = 0;
    let at = 0;
    while (at < chunk.length) {
      const byte = chunk[at];
      if (afterCr) {
        afterCr = false;
        const paired = byte === LF;
        if (paired) {
          sawCrLf = true;
          at += 1;
        }
        if (closing) {
          emit(chunk, start, at);
          start = at;
        }
        if (paired) continue;
      }
      if (byte !== LF && byte !== CR) {
        lineIsEmpty = false;
        at = lineEnd(at);
        continue;
      }
      at += 1;
      afterCr = byte === CR;
      if (!lineIsEmpty) {
        lineIsEmpty = true;
        continue;
      }
      if (afterCr && (sawCrLf || at < chunk.length)) {
        closing = true;
        continue;
      }
      emit(chunk, start, at);
      start = at;
    }
    keep(chunk, start);
  };
  return {
    push(chunk) {
      if (!overflowed) scan(chunk);
    },
    rest() {
      const left = pending.length === 0 ? null : joinBytes(pending);
      pending.length = 0;
      return left;
    },
    get overflowed() {
      return overflowed;
    },
  };
}

/** Finds the next LF at or after a place, else the chunk's end. */
function lineFeedFinder(chunk: Uint8Array): (from: number) => number {
  return (from) => {
    const next = chunk.indexOf(LF, from);
    return next === -1 ? chunk.length : next;
  };
}

/** Finds the next LF or CR at or after a place that is not before `start`, else the chunk's end. */
function lineEndFinder(chunk: Uint8Array, start: number): (from: number) => number {
  let nextCr = chunk.indexOf(CR, start);
  return (from) => {
    if (nextCr !== -1 && nextCr < from) nextCr = chunk.indexOf(CR, from);
    const nextLf = chunk.indexOf(LF, from);
    if (nextLf === -1) return nextCr === -1 ? chunk.length : nextCr;
    return nextCr === -1 ? nextLf : Math.min(nextCr, nextLf);
  };
}

/** A frame's fields that matter, as places in `bytes`. */
export interface FrameFields {
  readonly bytes: Uint8Array;
  readonly nameStart: number;
  /** Equal to `nameStart` when the frame has no `event:` line. */
  readonly nameEnd: number;
  readonly dataStart: number;
  readonly dataEnd: number;
}

/** Finds a frame's event name and data; undefined for a frame without data, such as a comment. Several `data:` lines are joined by LF. */
export function readFields(frame: Frame): FrameFields | undefined {
  const { bytes, end } = frame;
  const lineEnd = frame.mayHaveCr ? lineEndFinder(bytes, frame.start) : lineFeedFinder(bytes);
  let nameStart = 0;
  let nameEnd = 0;
  const data: (readonly [number, number])[] = [];
  let at = hasByteOrderMark(bytes, frame.start) ? frame.start + 3 : frame.start;
  while (at < end) {
    const stop = Math.min(lineEnd(at), end);
    if (startsWith(bytes, at, stop, 'data')) data.push(valueRange(bytes, at + 4, stop));
    else if (startsWith(bytes, at, stop, 'event')) [nameStart, nameEnd] = valueRange(bytes, at + 5, stop);
    at = stop + 1;
  }
  const [first] = data;
  if (first === undefined) return undefined;
  if (data.length === 1) return { bytes, nameStart, nameEnd, dataStart: first[0], dataEnd: first[1] };
  return joinLines(bytes, [nameStart, nameEnd], data);
}

function joinLines(bytes: Uint8Array, name: readonly [number, number], data: readonly (readonly [number, number])[]): FrameFields {
  const newline = Uint8Array.of(LF);
  const lines = data.flatMap(([start, end], index) => [...(index === 0 ? [] : [newline]), bytes.subarray(start, end)]);
  const joined = joinBytes([bytes.subarray(name[0], name[1]), ...lines]);
  const nameLength = name[1] - name[0];
  return { bytes: joined, nameStart: 0, nameEnd: nameLength, dataStart: nameLength, dataEnd: joined.length };
}

/** A field name is the whole line or ends at a colon. */
function startsWith(bytes: Uint8Array, at: number, stop: number, field: string): boolean {
  const behind = at + field.length;
  if (behind > stop || (behind < stop && bytes[behind] !== 58)) return false;
  for (let index = 0; index < field.length; index++) if (bytes[at + index] !== field.charCodeAt(index)) return false;
  return true;
}

/** What stands after a field's colon and at most one space. */
function valueRange(bytes: Uint8Array, colon: number, stop: number): readonly [number, number] {
  const start = Math.min(colon + 1, stop);
  return [start < stop && bytes[start] === 32 ? start + 1 : start, stop];
}

function hasByteOrderMark(bytes: Uint8Array, at: number): boolean {
  return bytes[at] === 0xef && bytes[at + 1] === 0xbb && bytes[at + 2] === 0xbf;
}
