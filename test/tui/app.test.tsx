import { cleanup } from 'ink-testing-library';
import { afterEach, describe, expect, test, vi } from 'vitest';

import { displayWidth } from '../../src/core/printable.ts';
import type { AppProps } from '../../src/tui/app.tsx';
import { fakeClock } from '../support/fake-clock.ts';
import { KEY, renderApp } from '../support/render-app.tsx';
import {
  busySnapshot,
  failedRequest,
  finishedRequest,
  fixtureSource,
  FRESH_SNAPSHOT,
  manyRequests,
  NOW,
  runningRequest,
} from '../support/tui-fixture.ts';
import { waitFor } from '../support/wait-for.ts';

// The machine that runs the tests has no terminal: colours are forced on, so that a test without them can fail.
vi.hoisted(() => {
  process.env['FORCE_COLOR'] = '1';
});

afterEach(cleanup);

function props(change: Partial<AppProps> = {}): AppProps {
  return {
    source: fixtureSource(busySnapshot()),
    clock: fakeClock(NOW),
    timeZone: 'UTC',
    colour: false,
    sleep: () => Promise.resolve(),
    ...change,
  };
}

describe('the screen fits', () => {
  test.each([[60, 16], [60, 24], [80, 24], [120, 36], [200, 50], [80, 8]])('%i columns and %i rows, to the cell', async (columns, rows) => {
    const app = await renderApp(props(), columns, rows);
    const lines = (await app.shows('gpt-6-luna')).split('\n');
    expect(lines).toHaveLength(rows);
    for (const line of lines) expect(displayWidth(line)).toBeLessThanOrEqual(columns);
    expect(lines.at(-1)).toContain('? help');
  });

  test('P10: a window made small and large again breaks nothing', async () => {
    const app = await renderApp(props(), 200, 50);
    await app.shows('gpt-6-luna');
    for (const [columns, rows] of [[20, 50], [20, 1], [1, 1], [59, 7]] as const) {
      app.resize(columns, rows);
      await waitFor(() => {
        const lines = app.frame().split('\n');
        return lines.length <= rows && lines.every((line) => displayWidth(line) <= columns);
      }, `a frame within ${columns} columns and ${rows} rows`);
    }
    app.resize(120, 36);
    const frame = await app.shows('Accounts 6');
    expect(frame.split('\n')).toHaveLength(36);
  });
});

describe('keys', () => {
  test('a walk: down, open, back, other views, other times', async () => {
    const source = fixtureSource(busySnapshot());
    const app = await renderApp(props({ source }), 120, 40);
    await app.shows('▌ 14:02:08');
    await app.press(KEY.down);
    await app.shows('▌ 14:02:07');
    await app.press(KEY.enter);
    const detail = await app.shows('req_01k9ab00feed42');
    expect(detail).toContain('usage limit reached  while waiting');
    expect(detail).toContain('passed over: cooldown until 15:22:11');
    await app.press(KEY.escape);
    await app.shows('▌ 14:02:07');
    await app.press(KEY.right);
    await app.shows('[2 errors 8]');
    await app.press('3');
    const groups = await app.shows('deepseek-v4');
    expect(groups).toContain('[3 model]');
    await app.press('t');
    await app.shows('[7d]');
    await app.press('T', 'T');
    await app.shows('[1h]');
    expect(source.queries.some(({ by, since }) => by[0] === 'hour' && since === NOW - 3_600_000)).toBe(true);
  });

  test('a sum opens as its requests', async () => {
    const app = await renderApp(props(), 120, 40);
    await app.press('4');
    await app.shows('SHARE');
    const client = /▌ (\S+)/.exec(app.frame())?.[1] ?? '';
    await app.press(KEY.enter);
    const frame = await app.shows(`/${client}`);
    expect(frame).toContain('[1 requests]');
    const rows = frame.split('\n').filter((line) => /^[▌ ] \d\d:\d\d:\d\d /.test(line));
    expect(rows.length).toBeGreaterThan(1);
    for (const row of rows) expect(row).toContain(client);
  });

  test('tab walks the panels, and p pauses the account under the cursor', async () => {
    const source = fixtureSource(busySnapshot());
    const app = await renderApp(props({ source }), 120, 40);
    await app.press('p');
    await app.shows('Choose an account first');
    await app.press(KEY.tab);
    await app.shows('▌ personal');
    await app.press(KEY.down, 'p');
    await app.shows('work is paused');
    await app.press(KEY.down, KEY.down, KEY.down, 'p');
    await app.shows('deepseek is back in service');
    await app.press(KEY.up, KEY.up, KEY.up, 'w');
    await app.shows('work is awake');
    expect(source.actions).toEqual([
      { kind: 'pause', account: 'work' }, { kind: 'resume', account: 'deepseek' }, { kind: 'wake', account: 'work' },
    ]);
    await app.press(KEY.tab);
    await app.shows(/▌ +6.4s  streaming/);
    await app.press(KEY.shiftTab, KEY.enter);
    await app.shows('You have hit your usage limit.');
  });

  test('what an action could not do is said', async () => {
    const source = fixtureSource(busySnapshot(), { act: () => Promise.reject(new Error('state.json\x1b[2J is read-only')) });
    const app = await renderApp(props({ source }), 120, 40);
    await app.press('a', 'w');
    await app.shows('state.json is read-only');
  });

  test('a filter narrows every panel, and esc clears it', async () => {
    const app = await renderApp(props(), 120, 40);
    await app.shows('Accounts 6');
    await app.press('/', 'z', 'e', 'd');
    await app.shows('/zed▏');
    await app.press(KEY.enter);
    const frame = await app.shows('No account matches "zed"');
    expect(frame).toContain('Running 1');
    expect(frame).not.toMatch(/14:02:07/);
    await app.press('/', KEY.backspace, 'x', 'y', 'z', KEY.enter);
    await app.shows('Nothing matches "zexyz"');
    await app.press(KEY.escape);
    await app.shows('Accounts 6');
  });

  test('q leaves a letter in a filter, and quits outside of it', async () => {
    const source = fixtureSource(busySnapshot());
    const app = await renderApp(props({ source }), 120, 40);
    await app.press('/', 'q');
    await app.shows('/q▏');
    expect(source.subscribers).toBe(1);
    await app.press(KEY.escape, 'q');
    await waitFor(() => source.subscribers === 0, 'the screen to let go of its source');
  });

  test('ctrl-c quits from everywhere', async () => {
    const source = fixtureSource(busySnapshot());
    const app = await renderApp(props({ source }), 120, 40);
    await app.press('?');
    await app.shows('Moving');
    await app.press(KEY.ctrlC);
    await waitFor(() => source.subscribers === 0, 'the screen to let go of its source');
  });

  test('P14: ctrl-z gives the terminal to the shell and comes back', async () => {
    let slept = 0;
    const app = await renderApp(props({ sleep: async () => void (slept += 1) }), 120, 40);
    await app.press(KEY.ctrlZ);
    await waitFor(() => slept === 1, 'sleep');
    await app.press('?');
    await app.shows('Moving');
  });

  test('fast typing and pastes are all understood', async () => {
    const app = await renderApp(props(), 120, 40);
    await app.press('jjj');
    await app.shows('▌ 14:02:01');
    await app.press('/', 'aider', KEY.enter);
    await app.shows('/aider');
  });

  test('the cursor stays with its request while new ones arrive above it', async () => {
    const clock = fakeClock(NOW);
    const source = fixtureSource(busySnapshot({ running: [] }));
    const app = await renderApp(props({ source, clock }), 120, 40);
    await app.press(KEY.down);
    await app.shows('▌ 14:02:07');
    clock.advance(200);
    const before = busySnapshot().finished;
    source.publish(busySnapshot({ running: [], finished: [finishedRequest({ id: 'req_new', seq: 9_000, t: NOW }), ...before] }));
    await app.shows('14:02:11');
    expect(app.frame()).toContain('▌ 14:02:07');
    await app.press(KEY.home);
    await app.shows('▌ 14:02:11');
  });
});

describe('a request that left the snapshot', () => {
  test('is fetched from the ledger when it was running before', async () => {
    const clock = fakeClock(NOW);
    const source = fixtureSource(busySnapshot({ running: [runningRequest({ id: 'req_gone' })] }), {
      request: (id) => Promise.resolve(id === 'req_gone' ? { ...failedRequest(), id } : null),
    });
    const app = await renderApp(props({ source, clock }), 120, 40);
    await app.press(KEY.shiftTab, KEY.enter);
    await app.shows('streaming  for 6.4s');
    clock.advance(200);
    source.publish(busySnapshot({ running: [] }));
    const frame = await app.shows('overloaded: every account');
    expect(frame).toContain('req_gone');
  });

  test('and it is said when the ledger has none', async () => {
    const clock = fakeClock(NOW);
    const source = fixtureSource(busySnapshot({ running: [runningRequest({ id: 'req_gone' })] }), { request: () => Promise.resolve(null) });
    const app = await renderApp(props({ source, clock }), 120, 40);
    await app.press(KEY.shiftTab, KEY.enter);
    await app.shows('streaming  for');
    clock.advance(200);
    source.publish(busySnapshot({ running: [] }));
    await app.shows('The ledger has no request of this id.');
  });
});

describe('empty and stopped', () => {
  test('a fresh Relay says what to do next', async () => {
    const app = await renderApp(props({ source: fixtureSource(FRESH_SNAPSHOT) }), 80, 24);
    const frame = await app.shows('No request yet.');
    expect(frame).toContain('relay keys add');
    expect(frame).toContain('relay connect codex');
  });

  test('without a daemon the ledger is shown, and said so', async () => {
    const app = await renderApp(props({ source: fixtureSource(busySnapshot({ daemon: { state: 'stopped' }, running: [] })) }), 80, 24);
    const frame = await app.shows('Relay is not running');
    expect(frame).toContain('relay start');
    expect(frame).toContain('14:02:08');
  });

  test('before the source has said anything there is no wrong claim', async () => {
    const source = fixtureSource(null);
    const app = await renderApp(props({ source }), 80, 24);
    expect(app.frame().trim()).toBe('relay  …');
    source.publish(busySnapshot());
    await app.shows('Accounts 6');
  });

  test('sums that could not be had are said, and the rest goes on', async () => {
    const source = fixtureSource(busySnapshot(), { usage: () => Promise.reject(new Error('usage.json cannot be read')) });
    const app = await renderApp(props({ source }), 80, 24);
    await app.shows('usage.json cannot be read');
    expect(app.frame()).toContain('Accounts 6');
  });
});

describe('colours', () => {
  test('with colours a frame has them', async () => {
    const app = await renderApp(props({ colour: true }), 80, 24);
    expect(await app.shows('relay')).toContain('\x1b[');
  });

  test('P11: with NO_COLOR no frame has an escape byte', async () => {
    const app = await renderApp(props({ colour: false }), 80, 24);
    await app.press('?', '?', '3', KEY.tab, '1', KEY.enter);
    await app.shows('Request');
    for (const frame of app.frames) expect(frame).not.toContain('\x1b');
  });
});

test('hostile names draw nothing but their letters', async () => {
  const evil = '\x1b[2J\x1b]0;owned\x07\u202eevil\r\nname\u200b';
  const record = finishedRequest({
    client: evil,
    account: evil,
    model: { asked: evil, sent: evil, ran: evil },
    error: { code: evil, message: evil },
    outcome: 'failed',
    status: 500,
    member: evil,
    project: evil,
    env: evil,
    provider: evil,
    upstreamRequestId: evil,
    dropped: [evil],
    tier: { asked: evil, served: evil },
    attempts: [{ account: evil, provider: evil, model: evil, t: NOW, ms: 1, status: 500, error: evil, phase: evil }],
    route: { strategy: evil, sticky: 'none', why: [{ account: evil, out: evil }] },
    cost: { list: 1, charged: 1, price: evil },
    endpoint: evil,
  });
  const [account] = busySnapshot().accounts;
  if (!account) throw new Error('the fixture has accounts');
  const source = fixtureSource(
    busySnapshot({
      finished: [record],
      accounts: [
        {
          ...account,
          name: evil,
          provider: evil,
          plan: evil,
          reason: evil,
          state: 'open',
          models: [evil],
          quota: [{ window: evil, usedPercent: 3, resetsAt: null }],
          lastError: { at: NOW, status: 1, code: evil, message: evil },
        },
      ],
      running: [runningRequest({ client: evil, model: evil, account: evil, endpoint: evil, id: `req${evil}` })],
    }),
  );
  const app = await renderApp(props({ source }), 120, 40);
  await app.shows('evil name');
  await app.press(KEY.enter);
  await app.shows('Attempts');
  await app.press(KEY.escape, KEY.tab, KEY.enter);
  await app.shows('Last error');
  await app.press(KEY.escape, KEY.tab, KEY.enter);
  await app.shows('Output so far');
  for (const frame of app.frames) {
    // oxlint-disable-next-line no-control-regex
    expect(frame).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e\u200b]|owned/);
    expect(frame.split('\n').length).toBeLessThanOrEqual(40);
  }
});

test('nothing is drawn while nothing changes, and a burst of snapshots makes few frames', async () => {
  const clock = fakeClock(NOW);
  const snapshot = busySnapshot({ running: [] });
  const source = fixtureSource(snapshot);
  const app = await renderApp(props({ source, clock }), 80, 24);
  await app.shows('Accounts 6');
  await app.shows('$1.24');
  const before = app.frames.length;
  for (let copy = 0; copy < 50; copy += 1) source.publish({ ...snapshot });
  clock.advance(99);
  expect(app.frames.length).toBe(before);
  for (let number = 0; number < 50; number += 1) source.publish(busySnapshot({ running: [], finished: manyRequests(number + 1) }));
  clock.advance(100);
  await app.shows(' of 50 ─');
  expect(app.frames.length - before).toBeLessThanOrEqual(6);
});
