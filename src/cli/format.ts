import { CommandError, EXIT } from '../core/errors.ts';

/**
 * One line of CSV after RFC 4180. Text that a spreadsheet would take for a formula gets a quote in front, so that a
 * model's name cannot run anything.
 */
export function csvLine(cells: readonly (string | number | null)[]): string {
  return `${cells.map(csvCell).join(',')}\r\n`;
}

function csvCell(cell: string | number | null): string {
  if (cell === null) return '';
  if (typeof cell === 'number') return String(cell);
  const inert = /^[=+\-@\t\r]/.test(cell) ? `'${cell}` : cell;
  return /[",\r\n]/.test(inert) ? `"${inert.replaceAll('"', '""')}"` : inert;
}

/** Reads `--limit`: a whole number above zero. Throws a usage error that names `option`. */
export function parseLimit(text: string, option: string): number {
  const limit = Number(text);
  if (Number.isSafeInteger(limit) && limit > 0) return limit;
  throw new CommandError(EXIT.usage, `${option} "${text}" is no whole number above zero`);
}
