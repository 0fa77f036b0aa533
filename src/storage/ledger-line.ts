import { isJsonObject, parseJsonObject } from '../core/json.ts';
import type { CloseRecord, JournalLine, OpenRecord } from '../core/record.ts';

/** What a finished request's line has in it, as bytes: most lines a narrow filter meets need no parsing. */
const CLOSINGS = [Buffer.from(`"k":"close"`), Buffer.from(`"k":"orphan"`)];

/** Whether the bytes can be a closing line; a text in another line may say the same. */
export function mayClose(bytes: Buffer): boolean {
  return CLOSINGS.some((closing) => bytes.includes(closing));
}

/** Parses a line that opens or closes a request; null when it is another kind of line or unreadable. */
export function readRequestLine(bytes: Buffer): JournalLine<CloseRecord> | JournalLine<OpenRecord> | null {
  const line: unknown = parseJsonObject(bytes.toString('latin1'));
  return isCloseLine(line) || isOpenLine(line) ? line : null;
}

/** Parses a closing line, an orphan's included; null when it is another kind of line or unreadable. */
export function readCloseLine(bytes: Buffer): JournalLine<CloseRecord> | null {
  const line: unknown = parseJsonObject(bytes.toString('latin1'));
  return isCloseLine(line) ? line : null;
}

/** The members everything is counted and filtered by; the chain vouches for the rest. */
function isCloseLine(line: unknown): line is JournalLine<CloseRecord> {
  if (!isJsonObject(line) || (line['k'] !== 'close' && line['k'] !== 'orphan')) return false;
  return hasSeal(line) && typeof line['outcome'] === 'string'
    && Array.isArray(line['attempts']) && isJsonObject(line['model']) && isJsonObject(line['cost']);
}

function isOpenLine(line: unknown): line is JournalLine<OpenRecord> {
  return isJsonObject(line) && hasSeal(line) && isOpenRecord(line);
}

function hasSeal(line: Readonly<Record<string, unknown>>): boolean {
  return typeof line['seq'] === 'number' && typeof line['h'] === 'string' && typeof line['t'] === 'number'
    && typeof line['id'] === 'string' && typeof line['client'] === 'string';
}

/** True for an open request as it is kept beside the totals. */
export function isOpenRecord(value: unknown): value is OpenRecord {
  if (!isJsonObject(value) || value['k'] !== 'open' || !isJsonObject(value['cost']) || !isJsonObject(value['reserved'])) return false;
  return typeof value['id'] === 'string' && typeof value['client'] === 'string' && typeof value['account'] === 'string'
    && typeof value['reserved']['input'] === 'number' && typeof value['cost']['list'] === 'number' && isJsonObject(value['model']);
}
