import type { EpochMs } from '../core/units.ts';
import { escapeUnprintable, redact } from './redact.ts';

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** One entry before it is written anywhere. Facts are unknown on purpose: what is no plain value is not looked into. */
export interface LogEntry {
  readonly t: EpochMs;
  readonly level: LogLevel;
  readonly message: string;
  readonly facts: Readonly<Record<string, unknown>>;
}

const MAX_TEXT = 2_000;
const MAX_FACTS = 32;
const NAME = /^[A-Za-z][A-Za-z0-9_.]{0,63}$/;
const RESERVED = new Set(['t', 'level', 'message']);
/** Names under which a body or a secret would stand, if someone ever tried. */
const NEVER = /token|secret|password|passphrase|authorization|cookie|apikey|api_key|prompt|body|headers|content/i;
/** Counts are no content, though their names hold the word. */
const COUNTS = /tokens$/i;

/** The entry as one line of JSON: `{"t","level","message",…facts}`. */
export function jsonLine(entry: LogEntry): string {
  const line: Record<string, string | number | boolean | null> = { t: entry.t, level: entry.level, message: clean(entry.message) };
  for (const [name, value] of plainFacts(entry.facts)) line[name] = value;
  return `${escapeJson(JSON.stringify(line))}\n`;
}

/** The entry for a person: time of day, level, message and facts. */
export function humanLine(entry: LogEntry): string {
  const facts = plainFacts(entry.facts).map(
    ([name, value]) => ` ${name}=${typeof value === 'string' && /[\s"=]/.test(value) ? JSON.stringify(value) : String(value)}`,
  );
  const time = new Date(entry.t).toISOString().slice(11, 19);
  return `${time} ${entry.level.padEnd(5)} ${escapeUnprintable(clean(entry.message))}${escapeUnprintable(facts.join(''))}\n`;
}

/** Facts that may be written: plain values under plain names, strings redacted and bounded. */
function plainFacts(facts: Readonly<Record<string, unknown>>): readonly (readonly [string, string | number | boolean | null])[] {
  const plain: (readonly [string, string | number | boolean | null])[] = [];
  for (const [name, value] of Object.entries(facts)) {
    if (plain.length >= MAX_FACTS || !NAME.test(name) || RESERVED.has(name) || name === '__proto__') continue;
    if (NEVER.test(name) && !(COUNTS.test(name) && typeof value === 'number')) plain.push([name, '[withheld]']);
    else if (typeof value === 'string') plain.push([name, clean(value)]);
    else if (typeof value === 'number') plain.push([name, Number.isFinite(value) ? value : null]);
    else if (typeof value === 'boolean' || value === null) plain.push([name, value]);
    else plain.push([name, `[${typeof value}]`]);
  }
  return plain;
}

function clean(text: string): string {
  const redacted = redact(text);
  return redacted.length <= MAX_TEXT ? redacted : `${redacted.slice(0, MAX_TEXT)}…`;
}

/** JSON.stringify has escaped the C0 characters; the others that a terminal obeys are escaped here, still as JSON. */
function escapeJson(json: string): string {
  return escapeUnprintable(json);
}
