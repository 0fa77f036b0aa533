import type { Budget } from '../core/client.ts';
import { BUDGET_UNITS, BUDGET_WINDOWS } from '../core/client.ts';
import { CommandError, EXIT } from '../core/errors.ts';

const SCALES: Readonly<Record<string, number>> = { '': 1, k: 1e3, m: 1e6, b: 1e9 };
const NANO = 1e9;

/** `20usd/month`, `5usd-charged/day`, `5M tokens/day`, `100requests/hour`. Throws a usage error that shows the form. */
export function parseBudget(text: string): Budget {
  const [, number = '', scale = '', kind = ''] = /^(\d+(?:\.\d+)?)\s*([kmb]?)\s*([a-z-]+\/[a-z]+)$/i.exec(text.trim()) ?? [];
  const found = findKind(kind);
  if (number === '' || found === null) {
    throw new CommandError(EXIT.usage, `"${text}" is no budget; write it like 20usd/month, 5M tokens/day or 100requests/hour`);
  }
  const amount = Number(number) * (SCALES[scale.toLowerCase()] ?? 1);
  const limit = Math.round(found.unit === 'usd' || found.unit === 'usd-charged' ? amount * NANO : amount);
  if (limit <= 0) throw new CommandError(EXIT.usage, `"${text}" leaves nothing to spend`);
  if (!Number.isSafeInteger(limit)) throw new CommandError(EXIT.usage, `"${text}" is more than can be counted`);
  return { ...found, limit };
}

/** `5M/day`, as `--tokens` takes it. Throws a usage error that shows the form. */
export function parseTokens(text: string): Budget {
  return parseBudget(text.replace(/^(\d+(?:\.\d+)?\s*[kmb]?)\s*(?:tokens)?\//i, '$1tokens/'));
}

/** `usd/month`, for a budget that is named and not given. Throws a usage error that shows the form. */
export function parseBudgetKind(text: string): Pick<Budget, 'unit' | 'window'> {
  const found = findKind(text.trim());
  if (found !== null) return found;
  throw new CommandError(EXIT.usage, `"${text}" names no budget; write it like usd/month, tokens/day or requests/hour`);
}

function findKind(text: string): Pick<Budget, 'unit' | 'window'> | null {
  const [asked, during] = text.toLowerCase().split('/');
  const unit = BUDGET_UNITS.find((known) => known === asked);
  const window = BUDGET_WINDOWS.find((known) => known === during);
  return unit === undefined || window === undefined ? null : { unit, window };
}
