import { describe, expect, test } from 'vitest';

import { sayPrices } from '../../src/cli/prices.ts';
import { showProgress } from '../../src/cli/progress.ts';
import { requestCsvHeading, requestCsvLine } from '../../src/cli/request-csv.ts';
import type { PriceView } from '../../src/core/views.ts';
import { closeRecord } from '../accounting/close-record.ts';
import { testContext } from '../support/command-context.ts';

const NOW = Date.parse('2026-11-21T12:00:00Z');

function price(change: Partial<PriceView> = {}): PriceView {
  return {
    model: 'gpt-6-luna', vendor: 'openai', servedBy: ['work'], origin: 'relay', label: 'relay:openai/gpt-6-luna@2026-10-01',
    usdPerMillion: { input: 0.1, cached: 0.01, cacheWrite: 0.125, output: 0.5 }, conditions: [], source: 'https://prices.example', effectiveFrom: null, readOn: '2026-10-01', ...change,
  };
}

describe('relay prices', () => {
  test('shows what is served, each with its price, its source and its day', async () => {
    const context = testContext(NOW, { columns: 140 });
    await sayPrices([price(), price({ model: 'unserved', servedBy: [] }), price({ model: 'deepseek-v4-pro', vendor: 'deepseek', conditions: ['peak'], effectiveFrom: Date.parse('2026-08-22T16:00:00Z') })], {}, context);
    const lines = context.written.stdout.split('\n');
    expect(lines[0]).toMatch(/^MODEL +INPUT +CACHED +CACHE WRITE +OUTPUT +FROM +SINCE +ACCOUNTS$/);
    expect(lines[1]).toMatch(/^gpt-6-luna +\$0\.10 +\$0\.01 +\$0\.125 +\$0\.50 +Relay's table \(openai\) +read 2026-10-01 +work$/);
    expect(lines[2]).toMatch(/Relay's table \(deepseek\), peak +2026-08-22/);
    expect(context.written.stdout).not.toContain('unserved');
  });

  test('with --all shows the table as well, and without any account the table alone', async () => {
    const all = testContext(NOW);
    await sayPrices([price(), price({ model: 'unserved', servedBy: [] })], { all: true }, all);
    expect(all.written.stdout).toContain('unserved');
    const none = testContext(NOW);
    await sayPrices([price({ model: 'unserved', servedBy: [] })], {}, none);
    expect(none.written.stdout).toContain('unserved');
  });

  test('names models without a price, and how to set one', async () => {
    const context = testContext(NOW, { columns: 120 });
    await sayPrices([price({ model: 'mystery', origin: null, label: null, usdPerMillion: null, source: null, readOn: null })], {}, context);
    expect(context.written.stdout).toMatch(/mystery +– +– +– +– +no price known/);
    expect(context.written.stdout).toContain('relay config set pricing.MODEL');
  });

  test('writes every digit of a price', async () => {
    const context = testContext(NOW, { columns: 120 });
    await sayPrices([price({ usdPerMillion: { input: 15, cached: 0.003625, cacheWrite: 1e-7, output: 1_234.5 } })], {}, context);
    expect(context.written.stdout).toMatch(/\$15\.00 +\$0\.003625 +\$0\.00000010 +\$1234\.50/);
  });

  test('as JSON is every row, as it is', async () => {
    const context = testContext(NOW);
    const rows = [price(), price({ servedBy: [] })];
    await sayPrices(rows, { json: true }, context);
    expect(JSON.parse(context.written.stdout)).toEqual(rows);
  });
});

describe('progress', () => {
  test('is drawn on a terminal once the work has taken a second, and taken away', async () => {
    const context = testContext(NOW, { columns: 60 });
    const progress = showProgress('checking', context);
    progress.saw(0.1, 1_000);
    expect(context.written.stderr).toBe('');
    context.clock.advance(1_000);
    progress.saw(0.5, 1_200_000);
    expect(context.written.stderr).toBe('\r\x1b[2Kchecking ████████████░░░░░░░░░░░░ 50%  1.2M lines');
    await progress.end();
    expect(context.written.stderr.endsWith('\r\x1b[2K')).toBe(true);
    expect(context.written.stdout).toBe('');
  });

  test('never leaves its line, and is nothing in a pipe', async () => {
    const narrow = testContext(NOW, { columns: 24 });
    const drawn = showProgress('checking', narrow);
    narrow.clock.advance(2_000);
    drawn.saw(1, 5);
    expect(narrow.written.stderr.replace('\r\x1b[2K', '').length).toBeLessThan(24);
    const pipe = testContext(NOW);
    const silent = showProgress('checking', pipe);
    pipe.clock.advance(2_000);
    silent.saw(0.5, 5);
    await silent.end();
    expect(pipe.written.stderr).toBe('');
  });
});

describe('an export as CSV', () => {
  const cells = (line: string): Record<string, string> => {
    const names = requestCsvHeading().trimEnd().split(',');
    return Object.fromEntries(line.trimEnd().split(',').map((cell, index) => [names[index] ?? '', cell]));
  };

  test('has a cell for each fact, empty where there is none', () => {
    const line = cells(requestCsvLine({ ...closeRecord({ account: null, tokens: null, unmetered: 'usage_missing' }), seq: 7, h: 'ab' }));
    expect(line).toMatchObject({ seq: '7', time: '2026-11-21T14:30:00.000Z', account: '', input_tokens: '', unmetered: 'usage_missing', list_nanousd: '100000', saved_nanousd: '60000', hash: 'ab' });
  });

  test('runs no formula in a spreadsheet', () => {
    const text = requestCsvLine({ ...closeRecord({ client: '=HYPERLINK("http://x")', model: { asked: '@cmd', sent: '+1', ran: '-1' } }), seq: 1, h: '' });
    expect(text).toContain(`"'=HYPERLINK(""http://x"")"`);
    for (const inert of [`,'@cmd,`, `,'+1,`, `,'-1,`]) expect(text).toContain(inert);
  });
});
