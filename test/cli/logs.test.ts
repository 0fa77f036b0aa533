import { describe, expect, test } from 'vitest';

import type { LogsOptions } from '../../src/cli/logs.ts';
import { logsQuery, runLogs } from '../../src/cli/logs.ts';
import { displayWidth } from '../../src/core/printable.ts';
import { testContext } from '../support/command-context.ts';
import { failedOverRequest, failedRequest, finishedRequest, manyRequests, NOW } from '../support/tui-fixture.ts';
import { memoryUsageData } from '../support/usage-data.ts';
import { waitFor, within } from '../support/wait-for.ts';

const RECORDS = [failedRequest(), failedOverRequest(), finishedRequest()];

async function logs(options: LogsOptions, context = testContext(NOW), records = RECORDS) {
  const data = memoryUsageData(records);
  await runLogs(options, context, data);
  return { ...context.written, data };
}

/** The ids `relay logs --json` gives. */
async function ids(options: LogsOptions): Promise<string[]> {
  const { stdout } = await logs({ ...options, json: true });
  return stdout.split('\n').filter((line) => line !== '').map((line) => JSON.parse(line).id);
}

describe('the past', () => {
  test('as a table, oldest first', async () => {
    const { stdout } = await logs({}, testContext(NOW, { columns: 110 }));
    expect(stdout).toMatchInlineSnapshot(`
      "TIME      ID        CODE   CLIENT    MODEL           ACCOUNT      IN    OUT     LIST   TTFT  TOTAL  ERROR
      14:02:06  7f3a9c21  ● 200  codex     gpt-6-luna      personal  12.4k   1.2k  $0.0142  640ms   4.2s
      14:02:07  00feed42  ● 200  opencode  gpt-6-luna-20…  personal  12.4k   1.2k  $0.0142  864ms   4.2s
      14:02:08  0badc0de  ✕ 503  zed       gpt-6-sol       –             –      –        –      –  402ms  overloaded
      "
    `);
  });

  test.each([60, 80, 120, 200])('within %i columns, and without an escape byte', async (columns) => {
    const { stdout } = await logs({}, testContext(NOW, { columns }), [
      ...RECORDS,
      finishedRequest({ model: { asked: null, sent: null, ran: '\x1b[31mevil\x1b]0;x\x07\n' }, seq: 1 }),
    ]);
    for (const line of stdout.split('\n')) expect(displayWidth(line)).toBeLessThanOrEqual(columns);
    expect(stdout).not.toContain('\x1b');
    expect(stdout).toContain('evil');
  });

  test('coloured only where colours are welcome', async () => {
    expect((await logs({}, testContext(NOW, { columns: 110, colour: true }))).stdout).toContain('\x1b[3');
    expect((await logs({}, testContext(NOW, { columns: 110, colour: false }))).stdout).not.toContain('\x1b');
  });

  test('--json is the journal, a line each', async () => {
    const { stdout } = await logs({ json: true });
    expect(stdout.trimEnd().split('\n').map((line) => JSON.parse(line))).toEqual([finishedRequest(), failedOverRequest(), failedRequest()]);
  });

  test('--errors, --client and --account narrow it', async () => {
    expect(await ids({ errors: true })).toEqual([failedRequest().id]);
    expect(await ids({ client: 'opencode' })).toEqual([failedOverRequest().id]);
    expect(await ids({ account: 'personal' })).toEqual([finishedRequest().id, failedOverRequest().id]);
    expect(await ids({ since: '4s' })).toEqual([failedOverRequest().id, failedRequest().id]);
  });

  test('a terminal gets the newest fifty, everything else all', async () => {
    const many = [...manyRequests(300)];
    const shown = await logs({}, testContext(NOW, { columns: 110 }), many);
    expect(shown.stdout.trimEnd().split('\n')).toHaveLength(51);
    expect(shown.stdout.trimEnd().split('\n').at(-1)).toContain(many[0]?.id.slice(-8));
    expect((await logs({}, testContext(NOW), many)).stdout.trimEnd().split('\n')).toHaveLength(301);
    expect((await logs({ limit: '7' }, testContext(NOW), many)).stdout.trimEnd().split('\n')).toHaveLength(8);
  });

  test('nothing found is said on stderr, and stdout stays empty', async () => {
    const { stdout, stderr } = await logs({ client: 'nobody' });
    expect(stdout).toBe('');
    expect(stderr).toContain('No finished requests found');
    expect((await logs({ client: 'nobody', json: true })).stderr).toBe('');
  });

  test('P08: when the reader is gone nothing more is read', async () => {
    const context = testContext(NOW);
    const write = context.stdout.write.bind(context.stdout);
    const data = memoryUsageData([...manyRequests(2_000)]);
    const stdout = { ...context.stdout, async write(text: string) {
      await write(text);
      context.closeStdout();
    } };
    await runLogs({ json: true }, { ...context, stdout }, data);
    expect(data.read).toBeLessThan(500);
  });
});

describe('--follow', () => {
  test('goes on with new ones, under the same columns, until interrupted', async () => {
    const context = testContext(NOW, { columns: 110 });
    const data = memoryUsageData(RECORDS);
    const done = runLogs({ follow: true, client: 'codex' }, context, data);
    await waitFor(() => context.written.stdout.includes('codex'), 'the past');
    data.finish(finishedRequest({ seq: 5_000, client: 'zed', id: 'req_other' }));
    data.finish(finishedRequest({ seq: 5_001, t: NOW, id: 'req_0000fresh001' }));
    await waitFor(() => context.written.stdout.includes('fresh001'), 'the new one');
    context.interrupt();
    await within(done, 'logs to end');
    const lines = context.written.stdout.trimEnd().split('\n');
    expect(lines).toHaveLength(3);
    expect(lines.every((line) => line.indexOf('codex') === lines[1]?.indexOf('codex') || line.includes('CLIENT'))).toBe(true);
    expect(data.followers).toBe(0);
  });

  test('what finishes while the past is read is told once', async () => {
    const context = testContext(NOW);
    const data = memoryUsageData(RECORDS);
    const fresh = finishedRequest({ seq: 9_000, id: 'req_between' });
    const requests = data.requests.bind(data);
    const busy = {
      ...data,
      follow: data.follow,
      report: data.report,
      request: data.request,
      async *requests(query: Parameters<typeof requests>[0]) {
        data.finish(fresh);
        yield* requests(query);
      },
    };
    const done = runLogs({ follow: true, json: true }, context, busy);
    await waitFor(() => context.written.stdout.includes('req_between'), 'the one between');
    data.finish(finishedRequest({ seq: 9_001, id: 'req_after' }));
    await waitFor(() => context.written.stdout.includes('req_after'), 'the one after');
    context.interrupt();
    await within(done, 'logs to end');
    expect(context.written.stdout.match(/req_between/g)).toHaveLength(1);
  });

  test('P08: ends when the reader is gone', async () => {
    const context = testContext(NOW);
    const done = runLogs({ follow: true }, context, memoryUsageData(RECORDS));
    await waitFor(() => context.written.stdout.includes('codex'), 'the past');
    context.closeStdout();
    await within(done, 'logs to end');
  });

  test('a source that fails is said', async () => {
    const data = { ...memoryUsageData(RECORDS), follow: () => Promise.reject(new Error('the daemon went away')) };
    await expect(runLogs({ follow: true }, testContext(NOW), data)).rejects.toThrow('the daemon went away');
  });
});

describe('faults of the command line', () => {
  test.each<[LogsOptions, string]>([
    [{ limit: '0' }, '--limit "0" is no whole number above zero'],
    [{ limit: 'ten' }, '--limit "ten"'],
    [{ since: 'x' }, '--since "x"'],
    [{ follow: true, until: 'now' }, '--until and --follow exclude each other'],
    [{ since: '1h', until: '2h' }, '--since must be before --until'],
  ])('%j: %s', (options, message) => {
    expect(() => logsQuery(options, testContext(NOW))).toThrow(message);
  });
});
