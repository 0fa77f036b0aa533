import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { numberAt, objectAt, parseJsonObject, stringAt } from '../core/json.ts';
import { readSeal } from './journal-line.ts';
import { readLastLine } from './segment-lines.ts';

/** How far into the journal something reaches: the last line it knows and the offset behind that line. */
export interface Position {
  readonly segment: string;
  readonly offset: number;
  readonly seq: number;
  readonly h: string;
}

/** Reads a position out of a parsed document; null when it is not one. */
export function parsePosition(value: unknown): Position | null {
  const segment = stringAt(value, 'segment');
  const offset = numberAt(value, 'offset');
  const seq = numberAt(value, 'seq');
  const h = stringAt(value, 'h');
  if (segment === undefined || h === undefined || !/^[0-9a-f]{32}$/.test(h)) return null;
  if (!isCount(offset) || !isCount(seq)) return null;
  return { segment, offset, seq, h };
}

function isCount(value: number | undefined): value is number {
  return value !== undefined && Number.isSafeInteger(value) && value >= 0;
}

/** The position `usage.json` reaches, or null when it has none: a hint that lets recovery skip what was checked before. */
export async function readPosition(usagePath: string): Promise<Position | null> {
  const text = await readFile(usagePath, 'utf8').catch(() => null);
  return text === null ? null : parsePosition(objectAt(parseJsonObject(text), 'position'));
}

/** True when the line that ends at the position is the one it names. */
export async function isInJournal(folder: string, position: Position): Promise<boolean> {
  const line = await readLastLine(join(folder, position.segment), position.offset).catch(() => null);
  if (!line || line.end !== position.offset) return false;
  const seal = readSeal(line.bytes);
  return seal !== null && seal.seq === position.seq && seal.h === position.h;
}
