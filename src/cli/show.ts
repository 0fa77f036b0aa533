import type { Command } from 'commander';

import { CommandError, EXIT } from '../core/errors.ts';
import { printable } from '../core/printable.ts';
import type { CloseRecord, JournalLine } from '../core/record.ts';
import { explainRequest } from '../tui/explain-request.ts';
import type { CommandContext } from './context.ts';
import { writeLines } from './table.ts';
import type { UsageData } from './usage-data.ts';

/** The flags of `relay show`, as given. */
export interface ShowOptions {
  readonly json?: boolean;
}

/** How far back a part of an id is looked for. */
const SEARCHED = 20_000;
const SHORTEST_PART = 4;

/** Adds `relay show` to the program; `run` does the work. */
export function registerShow(program: Command, run: (id: string, options: ShowOptions) => Promise<void>): void {
  program
    .command('show')
    .argument('<id>', 'a request id (x-request-id, relay logs), its beginning or its end, or `last`')
    .description('Everything about one request: attempts, why each account was chosen, tokens, cost, timings')
    .option('--json', "the journal's closing line")
    .addHelpText('after', `
Examples:
  $ relay show last
  $ relay show 7f3a9c21
  $ relay show req_01980a7f3a9c21 --json | jq .route`)
    .action((id: string, options: ShowOptions) => run(id, options));
}

/** `relay show ID`: the full breakdown of one request, or its journal line. */
export async function runShow(id: string, options: ShowOptions, context: CommandContext, data: UsageData): Promise<void> {
  const record = await findRequest(id, data);
  if (options.json) return context.stdout.write(`${JSON.stringify(record)}\n`);
  const { client, route } = record;
  const { changeWords, recordedChanges } = await import('./choice-words.ts');
  const changes = (route === null ? [] : recordedChanges(route)).map((change) => changeWords(change, { client, now: null }));
  await writeLines(context.stdout, explainRequest(record, { timeZone: context.timeZone, width: context.stdout.columns, changes }));
}

/** The request of this id, of the only recent one it is the beginning or end of, or the `last`. Throws when none is. */
export async function findRequest(id: string, data: UsageData): Promise<JournalLine<CloseRecord>> {
  const everything = { since: null, until: null, client: null, account: null, only: 'all', order: 'newest-first' } as const;
  if (id === 'last') {
    for await (const newest of data.requests({ ...everything, limit: 1 })) return newest;
    throw new CommandError(EXIT.failed, 'no request has finished yet');
  }
  const exact = await data.request(id);
  if (exact) return exact;
  const found: JournalLine<CloseRecord>[] = [];
  if (id.length >= SHORTEST_PART) {
    for await (const record of data.requests({ ...everything, limit: SEARCHED })) {
      if (!record.id.startsWith(id) && !record.id.endsWith(id)) continue;
      found.push(record);
      if (found.length > 5) break;
    }
  }
  const [only, another] = found;
  if (only && !another) return only;
  const wanted = printable(id);
  if (!only) throw new CommandError(EXIT.failed, `no finished request "${wanted}" in the ledger; relay logs lists them`);
  throw new CommandError(EXIT.failed, `"${wanted}" is part of several ids: ${found.map((record) => printable(record.id)).join(', ')}`);
}
