import type { Command } from 'commander';

import { ABSENT, formatCount } from '../core/amounts.ts';
import { printable } from '../core/printable.ts';
import type { PriceView } from '../core/views.ts';
import type { Span } from '../tui/spans.ts';
import { span } from '../tui/spans.ts';
import type { Column } from '../tui/table.ts';
import type { CommandContext } from './context.ts';
import { lineText, tableLines } from './table.ts';

/** The flags of `relay prices`, as given. */
export interface PricesOptions {
  readonly json?: boolean;
  readonly all?: boolean;
}

/** How many bad rows are named before the rest is counted. */
const NAMED_ROWS = 5;

/** Adds `relay prices [update]`. */
export function registerPrices(program: Command, context: CommandContext): void {
  const prices = program.command('prices').description('The price in force for each model, and where it is from')
    .option('--all', 'also rows of the table that no account serves now').option('--json', 'every row, as JSON')
    .addHelpText('after', `
USD per million tokens, at the standard tier and size. pricing in config.json sets prices of your own.

Examples:
  $ relay prices
  $ relay prices --json | jq '.[] | select(.origin == null).model'     models without a price
  $ relay prices update                                               fetch the newest broad table`)
    .action(async (options: PricesOptions) => {
      const { openControl } = await import('./control-access.ts');
      await openControl(context, async ({ control }) => sayPrices(await control.call('prices.list', {}), options, context));
    });
  prices.command('update').description('fetch the newest broad price table (genai-prices); nothing is ever fetched unasked')
    .option('--from <url>', 'another address of the same format; https, or this machine').option('--json', 'as JSON')
    .addHelpText('after', '\nRelay\'s own table and config.json go first; the broad one serves models they do not have.\n\nExample:\n  $ relay prices update')
    .action(async ({ from, json }: { readonly from?: string; readonly json?: boolean }) => {
      const { openControl } = await import('./control-access.ts');
      await openControl(context, async ({ control }) => {
        const updated = await control.call('prices.update', { from: from ?? null });
        if (json) return context.stdout.write(`${JSON.stringify(updated)}\n`);
        const { models, skipped, source } = updated;
        await context.stdout.write(`${formatCount(models)} prices taken over from ${printable(new URL(source).host)}\n`);
        for (const { row, reason } of skipped.slice(0, NAMED_ROWS)) await context.stderr.write(`left out ${printable(row)}: ${printable(reason)}\n`);
        if (skipped.length > NAMED_ROWS) await context.stderr.write(`left out ${skipped.length - NAMED_ROWS} more; --json names them all\n`);
      });
    });
}

/** Prints the prices: what is served, or everything. */
export async function sayPrices(prices: readonly PriceView[], { json, all }: PricesOptions, { stdout }: CommandContext): Promise<void> {
  if (json) return stdout.write(`${JSON.stringify(prices)}\n`);
  const served = prices.filter(({ servedBy }) => servedBy.length > 0);
  const shown = all || served.length === 0 ? prices : served;
  const usd = (read: (price: NonNullable<PriceView['usdPerMillion']>) => number) => ({ usdPerMillion }: PriceView): Span =>
    (usdPerMillion === null ? span(ABSENT, 'dim') : span(dollars(read(usdPerMillion))));
  const columns: readonly Column<PriceView>[] = [
    { title: 'MODEL', min: 12, cell: ({ model }) => span(printable(model), 'strong') },
    { title: 'INPUT', align: 'right', cell: usd(({ input }) => input) },
    { title: 'CACHED', align: 'right', dropAt: 2, cell: usd(({ cached }) => cached) },
    { title: 'CACHE WRITE', align: 'right', dropAt: 4, cell: usd(({ cacheWrite }) => cacheWrite) },
    { title: 'OUTPUT', align: 'right', cell: usd(({ output }) => output) },
    { title: 'FROM', min: 8, dropAt: 1, cell: originSpan },
    { title: 'SINCE', dropAt: 3, cell: ({ effectiveFrom, readOn }) => span(effectiveFrom === null ? (readOn === null ? ABSENT : `read ${readOn}`) : day(effectiveFrom), 'dim') },
    { title: 'ACCOUNTS', min: 8, dropAt: 5, cell: ({ servedBy }) => span(servedBy.length === 0 ? ABSENT : printable(servedBy.join(', ')), 'dim') },
  ];
  await stdout.write(tableLines(columns, shown, stdout).map((line) => lineText(line, stdout)).join(''));
  if (served.some(({ origin }) => origin === null)) {
    await stdout.write('\nModels without a price count no money. Set one: relay config set pricing.MODEL \'{"input":1,"output":4}\'\n');
  }
}

function originSpan({ origin, vendor, conditions }: PriceView): Span {
  if (origin === null) return span('no price known', 'warn');
  const where = { config: 'config.json', relay: `Relay's table (${printable(vendor)})`, 'genai-prices': `genai-prices (${printable(vendor)})`, local: 'this machine' }[origin];
  return span(conditions.length === 0 ? where : `${where}, ${conditions.join(', ')}`);
}

/** A price as price pages write it: at least two digits behind the point, as many as it has. */
function dollars(usd: number): string {
  const [whole = '0', fraction = ''] = String(usd).split('.');
  return /e/.test(String(usd)) ? `$${usd.toFixed(8)}` : `$${whole}.${fraction.padEnd(2, '0')}`;
}

function day(at: number): string {
  return new Date(at).toISOString().slice(0, 10);
}
