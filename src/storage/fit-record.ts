import type { CloseRecord, JournalRecord, NoteRecord, OpenRecord } from '../core/record.ts';

type Trim<R> = (record: R) => R;

/** From the gentlest to the last resort; each step keeps what the earlier ones did. The id is never cut. */
const CLOSE_STEPS: readonly Trim<CloseRecord>[] = [
  (record) => shortenStrings(record, 512),
  (record) => shortenStrings(record, 160),
  withoutParts,
  (record) => keepCandidates(record, 3),
  (record) => ({ ...record, dropped: record.dropped.slice(0, 16) }),
  (record) => keepAttempts(record, 4),
  (record) => shortenStrings(record, 64),
  (record) => ({ ...keepAttempts(keepCandidates(record, 0), 2), dropped: record.dropped.slice(0, 4) }),
  (record) => shortenStrings(record, 32),
];

const NOTE_STEPS: readonly Trim<NoteRecord>[] = [
  (record) => shortenStrings(record, 512),
  (record) => shortenStrings(record, 96),
  (record) => ({ ...record, detail: { trimmed: true } }),
];

const OPEN_STEPS: readonly Trim<OpenRecord>[] = [(record) => shortenStrings(record, 512), (record) => shortenStrings(record, 160)];

/**
 * Cuts a record down until `fits` says yes: first over-long texts, then the scores' inputs, the candidates passed over,
 * the dropped parameters' names and the middle attempts, the last two of which are counted. Amounts are never touched.
 */
export function fitRecord<R extends JournalRecord>(record: R, fits: (record: JournalRecord) => boolean): R {
  // Each step gives back the kind it was given; the compiler cannot follow that through the type parameter.
  return fitAny(record, fits) as R;
}

function fitAny(record: JournalRecord, fits: (record: JournalRecord) => boolean): JournalRecord {
  switch (record.k) {
    case 'close':
    case 'orphan':
      return trim(record, CLOSE_STEPS, fits);
    case 'open':
      return trim(record, OPEN_STEPS, fits);
    case 'note':
      return trim(record, NOTE_STEPS, fits);
  }
}

function trim<R extends JournalRecord>(record: R, steps: readonly Trim<R>[], fits: (record: JournalRecord) => boolean): R {
  let trimmed = record;
  for (const step of steps) {
    if (fits(trimmed)) return trimmed;
    trimmed = step(trimmed);
  }
  return trimmed;
}

function withoutParts(record: CloseRecord): CloseRecord {
  if (!record.route) return record;
  const why = record.route.why.map(({ parts: _parts, ...candidate }) => candidate);
  return { ...record, route: { ...record.route, why } };
}

function keepCandidates(record: CloseRecord, count: number): CloseRecord {
  if (!record.route || record.route.why.length <= count) return record;
  const { why, whyMore = 0 } = record.route;
  return { ...record, route: { ...record.route, why: why.slice(0, count), whyMore: whyMore + why.length - count } };
}

/** Keeps the first attempts and the one that ended it. */
function keepAttempts(record: CloseRecord, count: number): CloseRecord {
  const { attempts, attemptsMore = 0 } = record;
  if (attempts.length <= count) return record;
  const kept = [...attempts.slice(0, count - 1), ...attempts.slice(-1)];
  return { ...record, attempts: kept, attemptsMore: attemptsMore + attempts.length - count };
}

/** More than any id Relay makes; bounds the one a foreign hand may have put there. */
const ID_BYTES = 96;

/** Cuts every text in a value, at any depth, to so many bytes of the escaped form it takes in the journal. */
function shortenStrings<T>(value: T, bytes: number): T {
  return shorten(value, bytes) as T;
}

function shorten(value: unknown, bytes: number): unknown {
  if (typeof value === 'string') return shortenString(value, bytes);
  if (Array.isArray(value)) return value.map((item) => shorten(item, bytes));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, shorten(member, key === 'id' ? ID_BYTES : bytes)]));
}

function shortenString(text: string, bytes: number): string {
  if (escapedLength(text) <= bytes) return text;
  let used = 3;
  let end = 0;
  for (const character of text) {
    used += escapedLength(character);
    if (used > bytes) break;
    end += character.length;
  }
  return `${text.slice(0, end)}...`;
}

function escapedLength(text: string): number {
  let length = 0;
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    length += code < 0x20 || code > 0x7e ? 6 : code === 0x22 || code === 0x5c ? 2 : 1;
  }
  return length;
}
