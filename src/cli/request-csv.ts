import type { CloseRecord, JournalLine } from '../core/record.ts';
import { csvLine } from './format.ts';

type Cell = string | number | null;

/** The columns of an export, in order: new ones are added at the end. */
const COLUMNS: readonly (readonly [string, (record: JournalLine<CloseRecord>) => Cell])[] = [
  ['seq', ({ seq }) => seq],
  ['time', ({ t }) => new Date(t).toISOString()],
  ['t', ({ t }) => t],
  ['id', ({ id }) => id],
  ['client', ({ client }) => client],
  ['member', ({ member }) => member],
  ['project', ({ project }) => project],
  ['env', ({ env }) => env],
  ['endpoint', ({ endpoint }) => endpoint],
  ['stream', ({ stream }) => String(stream)],
  ['model_asked', ({ model }) => model.asked],
  ['model_sent', ({ model }) => model.sent],
  ['model_ran', ({ model }) => model.ran],
  ['provider', ({ provider }) => provider],
  ['account', ({ account }) => account],
  ['status', ({ status }) => status],
  ['outcome', ({ outcome }) => outcome],
  ['error', ({ error }) => error?.code ?? null],
  ['attempts', ({ attempts, attemptsMore = 0 }) => attempts.length + attemptsMore],
  ['input_tokens', ({ tokens }) => tokens?.input ?? null],
  ['cached_tokens', ({ tokens }) => tokens?.cached ?? null],
  ['cache_write_tokens', ({ tokens }) => tokens?.cacheWrite ?? null],
  ['output_tokens', ({ tokens }) => tokens?.output ?? null],
  ['reasoning_tokens', ({ tokens }) => tokens?.reasoning ?? null],
  ['estimated', ({ tokens }) => (tokens === null ? null : String(tokens.estimated))],
  ['unmetered', ({ unmetered }) => unmetered ?? null],
  ['tier_asked', ({ tier }) => tier.asked],
  ['tier_served', ({ tier }) => tier.served],
  ['list_nanousd', ({ cost }) => cost.list],
  ['charged_nanousd', ({ cost }) => cost.charged],
  ['saved_nanousd', ({ cost }) => cost.list - cost.charged],
  ['price', ({ cost }) => cost.price],
  ['queue_ms', ({ ms }) => ms.queue],
  ['ttft_ms', ({ ms }) => ms.ttft],
  ['total_ms', ({ ms }) => ms.total],
  ['upstream_request_id', ({ upstreamRequestId }) => upstreamRequestId],
  ['hash', ({ h }) => h],
];

/** The first line of an export as CSV. */
export function requestCsvHeading(): string {
  return csvLine(COLUMNS.map(([name]) => name));
}

/** One finished request as a line of CSV. */
export function requestCsvLine(record: JournalLine<CloseRecord>): string {
  return csvLine(COLUMNS.map(([, read]) => read(record)));
}
