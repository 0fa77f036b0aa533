import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { clientLine } from '../../src/accounting/budget-lines.ts';
import type { BudgetMark, LiveEvent } from '../../src/core/ports.ts';
import { DAY_MS } from '../../src/core/units.ts';
import { createBudgetNotices } from '../../src/daemon/budget-notices.ts';
import { createNotifier } from '../../src/io/notify.ts';
import { fakeClock } from '../support/fake-clock.ts';
import { chat, serveInProcess, serveTimed } from '../support/serve-in-process.ts';
import type { ServedRelay } from '../support/serve-in-process.ts';
import { waitFor } from '../support/wait-for.ts';

const say = (relay: ServedRelay, key: string) => relay.ask('/v1/chat/completions', { key, body: chat('Say hi') });

/** Every mark that is passed from now on. */
function watchMarks(relay: ServedRelay): readonly BudgetMark[] {
  const marks: BudgetMark[] = [];
  relay.daemon.live.subscribe((event: LiveEvent) => {
    if (event.type === 'budget') marks.push(event.budget);
  });
  return marks;
}

describe('a budget that nears its end', () => {
  test('is told of live at 80 % and at 100 %, once each in a window', async () => {
    const relay = await serveTimed();
    const marks = watchMarks(relay);
    const key = await relay.client('five', { budgets: [{ unit: 'requests', limit: 5, window: 'day' }] });
    const seen: number[][] = [];
    for (let asked = 0; asked < 7; asked += 1) {
      await say(relay, key);
      seen.push(marks.map(({ mark }) => mark));
    }
    expect(seen).toEqual([[], [], [], [80], [80, 100], [80, 100], [80, 100]]);
    expect(marks[1]).toMatchObject({ owner: 'client five', budget: { limit: 5 }, spent: 5, resetsAt: Date.UTC(2026, 10, 22) });
    relay.clock.advance(DAY_MS);
    for (let asked = 0; asked < 4; asked += 1) await say(relay, key);
    expect(marks.map(({ mark }) => mark)).toEqual([80, 100, 80]);
  });

  test('is told of as spent alone when one request takes it there, and anew after its limit was raised', async () => {
    const relay = await serveInProcess();
    const marks = watchMarks(relay);
    const key = await relay.client('one', { budgets: [{ unit: 'requests', limit: 1, window: 'month' }] });
    await say(relay, key);
    await relay.daemon.control.call('clients.set', { name: 'one', budgets: [{ unit: 'requests', limit: 3, window: 'month' }] });
    await say(relay, key);
    await say(relay, key);
    expect(marks.map(({ mark, spent }) => [mark, spent])).toEqual([[100, 1], [100, 3]]);
  });

  test('reaches the user\'s own command', async () => {
    const relay = await serveInProcess();
    const told = join(relay.home, 'told');
    const command = `printf '%s|%s|%s' "$RELAY_NOTICE" "$RELAY_TITLE" "$RELAY_TEXT" > '${told}.part' && mv '${told}.part' '${told}'`;
    const file = join(relay.home, 'config.json');
    const config = JSON.parse(await readFile(file, 'utf8'));
    await writeFile(file, JSON.stringify({ ...config, notify: { desktop: false, command } }), { mode: 0o600 });
    await relay.daemon.reload();
    await say(relay, await relay.client('one', { budgets: [{ unit: 'requests', limit: 1, window: 'month' }] }));
    const text = await waitFor(() => readFile(told, 'utf8').catch(() => undefined), 'the command');
    expect(text).toMatch(/^budget_spent\|Budget of client one is spent\|1 of 1requests\/month; it begins anew at \d{4}-/);
  });

  test('is not shown in quiet hours, and not made up for afterwards, but stands in the log', () => {
    let minute = 23 * 60;
    const started: Readonly<Record<string, string>>[] = [];
    const notifier = createNotifier(() => ({ desktop: false, command: 'true', quietHours: '22:00-07:00' }), {
      start: (_program, _parameters, extra) => started.push(extra), platform: 'linux', minuteOfDay: () => minute,
    });
    const logged: string[] = [];
    const log = { debug: () => {}, info: () => {}, error: () => {}, warn: (message: string) => void logged.push(message) };
    const booked = createBudgetNotices({
      clock: fakeClock(), live: { passedMark: () => {} }, log, notifier,
      settings: () => ({ notify: { desktop: false } }),
    });
    const line = clientLine('night', { unit: 'requests', limit: 10, window: 'day' });
    booked(line, { windowStart: 0, spent: 8, reserved: 0 });
    minute = 8 * 60;
    booked(line, { windowStart: 0, spent: 9, reserved: 0 });
    expect(started).toEqual([]);
    booked(line, { windowStart: 0, spent: 10, reserved: 0 });
    expect(started.map(({ RELAY_NOTICE: notice }) => notice)).toEqual(['budget_spent']);
    expect(logged).toHaveLength(2);
  });
});
