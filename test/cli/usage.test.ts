import { Command } from 'commander';
import { describe, expect, test } from 'vitest';

import type { UsageOptions } from '../../src/cli/usage.ts';
import { registerUsage, runUsage, usageCsv, wantsScreen } from '../../src/cli/usage.ts';
import { DAY_MS } from '../../src/core/units.ts';
import type { UsageReport } from '../../src/core/views.ts';
import { testContext } from '../support/command-context.ts';
import type { TestContext } from '../support/command-context.ts';
import { NOW, usageReport, usageTotals } from '../support/tui-fixture.ts';
import { memoryUsageData } from '../support/usage-data.ts';

const TERMINAL = { stdin: process.stdin, stdout: process.stdout };

async function usage(
  options: UsageOptions,
  context: TestContext = testContext(NOW),
  report?: (query: Parameters<typeof usageReport>[0]) => UsageReport,
) {
  const data = memoryUsageData([], report);
  await runUsage(options, context, data);
  return { ...context.written, data };
}

describe('what relay usage gives', () => {
  test('the live screen on a terminal', () => {
    expect(wantsScreen({}, testContext(NOW, { columns: 80, terminal: TERMINAL }))).toBe(true);
  });

  test('P09: a report in a pipe', async () => {
    expect(wantsScreen({}, testContext(NOW))).toBe(false);
    const { stdout } = await usage({});
    expect(stdout).toContain('requests');
  });

  test.each<UsageOptions>([{ json: true }, { csv: true }, { since: '7d' }, { until: 'now' }, { by: 'model' }])(
    'a report for %j, also on a terminal',
    (options) => {
      expect(wantsScreen(options, testContext(NOW, { terminal: TERMINAL }))).toBe(false);
    },
  );

  test('--json is the report, whole, on one line', async () => {
    const { stdout, data } = await usage({ json: true, since: '7d', by: 'model,client' });
    expect(data.reports).toEqual([{ since: NOW - 7 * DAY_MS, until: null, by: ['model', 'client'] }]);
    expect(stdout.endsWith('}\n')).toBe(true);
    expect(JSON.parse(stdout)).toEqual(usageReport({ since: NOW - 7 * DAY_MS, until: null, by: ['model', 'client'] }));
  });

  test('sums as people read them', async () => {
    const { stdout } = await usage({ since: '2026-11-01', until: '2026-11-23' });
    expect(stdout).toMatchInlineSnapshot(`
      "Usage  2026-11-01 UTC to 2026-11-24 UTC

      requests                     480  10 failed, 2.1%
      input tokens           7,200,000  4,840,000 cached, 67%
      output tokens            560,000  124,000 reasoning, 22%
      list price                $16.40
      paid                       $1.24
      saved                     $15.16
      first output               640ms  p95 2.1s
      in all                      4.2s  p95 48s

      2 requests unmetered: the upstream told no tokens, so none are counted
      "
    `);
  });

  test('a table of groups that fits a terminal of 100 columns', async () => {
    const { stdout } = await usage({ by: 'model' }, testContext(NOW, { columns: 100 }));
    expect(stdout).toMatchInlineSnapshot(`
      "Usage  all time

      MODEL            REQUESTS  FAILED    IN  CACHED    OUT    LIST     PAID   SAVED  TTFT P50   P95
      gpt-6-luna             12       0  180k    121k  14.0k   $0.41  $0.0310   $0.38     640ms  2.1s
      gpt-6-sol              72       1  1.1M    726k  84.0k   $2.46    $0.19   $2.27     640ms  2.1s
      gpt-6-mini             24       0  360k    242k  28.0k   $0.82  $0.0620   $0.76     640ms  2.1s
      deepseek-v4            84       1  1.3M    847k  98.0k   $2.87    $0.22   $2.65     640ms  2.1s
      qwen3-coder:30b        36       0  540k    363k  42.0k   $1.23  $0.0930   $1.14     640ms  2.1s
      total                 480      10  7.2M    4.8M   560k  $16.40    $1.24  $15.16     640ms  2.1s

      2 requests unmetered: the upstream told no tokens, so none are counted
      "
    `);
  });

  test('a pipe gets every column', async () => {
    const { stdout } = await usage({ by: 'day,account' });
    const [, , heading] = stdout.split('\n');
    for (const title of ['DAY', 'ACCOUNT', 'REASONING', 'SAVED', 'TOTAL P50']) expect(heading).toContain(title);
  });

  test('nothing yet says what to do', async () => {
    const { stdout } = await usage({ since: '24h', by: 'model' }, testContext(NOW), (query) => ({
      ...usageReport(query),
      totals: { ...usageTotals(), requests: 0 },
      groups: [],
    }));
    expect(stdout).toContain('relay connect codex');
  });
});

describe('faults of the command line', () => {
  test.each<[UsageOptions, string]>([
    [{ by: 'model,planet' }, '--by "planet" is unknown; it takes model, account'],
    [{ since: 'soon' }, '--since "soon" is no time'],
    [{ since: '1h', until: '2h' }, '--since must be before --until'],
    [{ json: true, csv: true }, '--json and --csv exclude each other'],
  ])('%j: %s', async (options, message) => {
    await expect(usage(options)).rejects.toMatchObject({ name: 'CommandError', exitCode: 2, message: expect.stringContaining(message) });
  });
});

describe('CSV', () => {
  test('has a line a group, machine numbers, and harmless cells', () => {
    const report: UsageReport = {
      since: null, until: null, by: ['model', 'member'], totals: usageTotals(2),
      groups: [
        { key: { model: 'a,"b"', member: null }, ...usageTotals(1) },
        {
          key: { model: '=HYPERLINK("http://evil")', member: 'line\nbreak' },
          ...usageTotals(1),
          ms: { ttftP50: null, ttftP95: null, totalP50: null, totalP95: null },
        },
      ],
    };
    expect(usageCsv(report).split('\r\n')).toEqual([
      'model,member,requests,failed,unmetered,input_tokens,cached_tokens,cache_write_tokens,output_tokens,reasoning_tokens,'
        + 'list_nanousd,charged_nanousd,saved_nanousd,ttft_p50_ms,ttft_p95_ms,total_p50_ms,total_p95_ms',
      '"a,""b""",,12,0,0,180000,121000,900,14000,3100,410000000,31000000,379000000,640,2140,4200,48000',
      '"\'=HYPERLINK(""http://evil"")","line\nbreak",12,0,0,180000,121000,900,14000,3100,410000000,31000000,379000000,,,,',
      '',
    ]);
  });

  test('without groups it is one line of sums', () => {
    const lines = usageCsv(usageReport({ since: null, until: null, by: [] })).split('\r\n');
    expect(lines).toHaveLength(3);
    expect(lines[0]).toMatch(/^requests,failed/);
  });
});

test('the flags reach the command as given', async () => {
  const given: UsageOptions[] = [];
  const program = new Command().exitOverride();
  registerUsage(program, async (options) => void given.push(options));
  await program.parseAsync(['usage', '--since', '7d', '--by', 'model', '--json'], { from: 'user' });
  expect(given).toEqual([{ since: '7d', by: 'model', json: true }]);
});
