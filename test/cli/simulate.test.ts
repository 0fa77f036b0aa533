import { describe, expect, test } from 'vitest';

import { runSimulate } from '../../src/cli/run-simulation.ts';
import type { SimulateReport } from '../../src/cli/run-simulation.ts';
import { createAttemptTimeline } from '../../src/cli/attempt-timeline.ts';
import { DEFAULT_CONFIG } from '../../src/core/config.ts';
import type { AttemptRecord, CloseRecord, RouteRecord } from '../../src/core/record.ts';
import { chooseAccount, routeRecord } from '../../src/routing/choose-account.ts';
import { STRATEGIES } from '../../src/routing/score.ts';
import { choiceOf, healthWith, paidNamed, windowOf } from '../routing/builders.ts';
import { testContext } from '../support/command-context.ts';
import { chat, KEY_MODEL, serveInProcess, TWO_PLATFORM_KEYS } from '../support/serve-in-process.ts';
import { finishedRequest, NOW } from '../support/tui-fixture.ts';

const MODEL = 'gpt-6-luna';
const CHEAP = paidNamed('cheap', { usdPerMillion: 0.1, health: healthWith({ quota: [windowOf({ usedPercent: 50 })] }) });
const DEAR = paidNamed('dear', { usdPerMillion: 60 });

function route(changes: Partial<RouteRecord> = {}): RouteRecord {
  return { ...routeRecord(chooseAccount([DEAR, CHEAP], choiceOf())), ...changes };
}

function attempt(account: string, error: string | null, t: number): AttemptRecord {
  return { account, provider: 'openai', model: MODEL, t, ms: 10, status: error === null ? 200 : 500, error, phase: 'headers' };
}

let number = 0;
/** One request `dear` served, `at` ms after the beginning. */
function request(at: number, changes: Partial<CloseRecord> = {}): CloseRecord {
  number += 1;
  const t = NOW - 3_600_000 + at;
  const { seq: _seq, h: _h, ...record } = finishedRequest({ provider: 'openai', account: 'dear' });
  return {
    ...record, id: `req_${number}`, t, ms: { queue: 0, ttft: 1, total: 0 }, route: route(), attempts: [attempt('dear', null, t)],
    tokens: { input: 1_000, cached: 800, cacheWrite: 0, output: 100, reasoning: 0, estimated: false }, cost: { list: 5_000, charged: 5_000, price: 'p' }, ...changes,
  };
}

async function simulate(records: readonly CloseRecord[], strategy = 'cheapest', settings = DEFAULT_CONFIG): Promise<{ readonly report: SimulateReport; readonly text: string }> {
  const deps = {
    settings, accounts: [{ name: 'dear', provider: 'openai' }, { name: 'cheap', provider: 'chatgpt' }],
    records: async function* all() {
      yield* records;
    },
  };
  const [data, people] = [testContext(NOW), testContext(NOW, { columns: 110 })];
  await runSimulate({ strategy, since: '2h', json: true }, data, deps);
  await runSimulate({ strategy, since: '2h' }, people, deps);
  return { report: JSON.parse(data.written.stdout) as SimulateReport, text: people.written.stdout };
}

describe('another strategy', () => {
  test('takes the account it would have taken, and prices it as that account bills', async () => {
    const { report, text } = await simulate([request(0), request(1_000)]);
    expect(report).toMatchObject({ strategy: 'cheapest', routedBy: { balanced: 2 }, replayed: 2, skipped: 0, changed: 2 });
    expect(report.accounts).toEqual([{ account: 'dear', actual: 2, simulated: 0 }, { account: 'cheap', actual: 0, simulated: 2 }]);
    expect(report.actual.cost).toEqual({ list: 10_000, charged: 10_000 });
    expect(report.simulated.cost.charged).toBe(0);
    expect(report.simulated.cost.list).toBeGreaterThan(0);
    expect(text).toContain('served by cheap');
    expect(text).toContain('not known');
  });

  test('the same strategy changes nothing, to the last nano-dollar', async () => {
    const { report } = await simulate([request(0), request(1), request(2)], 'balanced');
    expect(report.changed).toBe(0);
    expect(report.simulated).toEqual(report.actual);
  });

  test.each(STRATEGIES)('%s counts every request once on each side', async (strategy) => {
    const { report } = await simulate(Array.from({ length: 20 }, (_, index) => request(index * 1_000)), strategy);
    const sum = (side: 'actual' | 'simulated'): number => report.accounts.reduce((total, entry) => total + entry[side], 0);
    expect([report.replayed, sum('actual'), sum('simulated')]).toEqual([20, 20, 20]);
  });

  test('round-robin goes round, priority takes who was added first', async () => {
    const records = Array.from({ length: 10 }, (_, index) => request(index * 1_000));
    expect((await simulate(records, 'round-robin')).report.accounts.map(({ simulated }) => simulated)).toEqual([5, 5]);
    expect((await simulate(records, 'priority')).report.accounts).toEqual([{ account: 'dear', actual: 10, simulated: 10 }]);
  });

  test('a better priority is never passed over for a better score', async () => {
    const ranked = route({ why: route().why.map((candidate) => ({ ...candidate, priority: candidate.account === 'dear' ? 1 : 2 })) });
    expect((await simulate([request(0, { route: ranked })])).report.changed).toBe(0);
  });

  test('an unknown one is a usage error that names them all', async () => {
    await expect(simulate([], 'luckiest')).rejects.toMatchObject({ exitCode: 2, message: expect.stringContaining('drain-soonest') });
  });
});

describe('failovers', () => {
  test('those that were are spared where the other account served at once', async () => {
    const t = NOW - 3_600_000;
    const failing = [attempt('dear', 'server_error', t), attempt('cheap', null, t + 5)];
    const { report } = await simulate([request(0), request(1_000, { account: 'cheap', attempts: failing, route: route({ why: route().why.filter(({ account }) => account === 'cheap') }) })]);
    expect(report.actual.failovers).toBe(1);
    expect(report.simulated.failovers).toBe(0);
    expect(report.unknown.borrowedScores).toBe(1);
  });

  test('one is expected where the other account was failing at that moment', async () => {
    const others = request(10_000, { account: 'dear', attempts: [attempt('cheap', 'server_error', NOW - 3_600_000 + 1), attempt('dear', null, NOW - 3_600_000 + 2)] });
    const { report } = await simulate([request(5_000), others]);
    expect(report.simulated.failovers).toBeGreaterThanOrEqual(1);
    expect(report.accounts.find(({ account }) => account === 'dear')?.simulated).toBe(2);
  });

  test('where nothing tells how an account was doing, that is said', async () => {
    expect((await simulate([request(0)])).report.unknown.guessedOutcomes).toBe(1);
    expect((await simulate([request(0)])).text).toContain('1 times an account was taken to have served');
  });

  test('how an account was doing is told by the nearest attempt, also where lines stand out of order', () => {
    const timeline = createAttemptTimeline();
    timeline.note(request(0, { attempts: [attempt('a', null, 100_000), attempt('a', 'client_closed', 130_000)] }));
    timeline.note(request(0, { attempts: [attempt('a', 'server_error', 50_000)] }));
    const standing = (at: number) => timeline.standingAt('a', at);
    expect([standing(49_000), standing(60_000), standing(110_000), standing(219_000), standing(900_000)]).toEqual(['failed', 'failed', 'served', 'served', 'unknown']);
    expect(timeline.standingAt('nobody', 0)).toBe('unknown');
  });
});

describe('conversations', () => {
  const turn = (at: number, conversation: string, changes: Partial<CloseRecord> = {}): CloseRecord =>
    request(at, { ...changes, route: route({ conversation, sticky: at === 0 ? 'miss' : 'hit' }) });

  test('stay where the replay put them, as they stayed in truth', async () => {
    const { report } = await simulate([turn(0, 'x'), turn(1_000, 'x'), turn(2_000, 'x')]);
    expect([report.actual.kept, report.simulated.kept, report.simulated.moved]).toEqual([2, 2, 0]);
    expect(report.simulated.cachedTokens).toBe(report.actual.cachedTokens);
  });

  test('that would have moved lose their cache, and what it saved', async () => {
    const settings = { ...DEFAULT_CONFIG, routing: { ...DEFAULT_CONFIG.routing, sticky: false } };
    const { report } = await simulate([turn(0, 'x'), turn(1_000, 'x'), turn(2_000, 'x')], 'round-robin', settings);
    expect([report.simulated.kept, report.simulated.moved]).toEqual([0, 2]);
    expect(report.simulated.cachedTokens).toBe(800);
    expect(report.simulated.cost.list).toBeGreaterThan(report.actual.cost.list);
  });

  test('of different clients never meet, and those without a name are counted apart', async () => {
    const { report } = await simulate([turn(0, 'x'), turn(1_000, 'x', { client: 'other' }), request(2_000)]);
    expect(report.actual.kept).toBe(0);
    expect(report.unknown.withoutConversation).toBe(1);
  });

  test('are forgotten after an hour of silence', async () => {
    const early = { ...turn(0, 'x'), t: NOW - 6_900_000 };
    expect((await simulate([early, turn(3_500_000, 'x')])).report.actual.kept).toBe(0);
  });
});

describe('lines that cannot be replayed', () => {
  test.each<[string, Partial<CloseRecord>]>([
    ['refused before a choice', { route: null, account: null, attempts: [], outcome: 'refused' }],
    ['trimmed of their parts', { route: route({ why: route().why.map(({ parts: _parts, ...kept }) => kept) }) }],
    ['closed by a crash', { k: 'orphan' }],
  ])('%s are left out and counted', async (_what, change) => {
    const { report } = await simulate([request(0, change)]);
    expect([report.replayed, report.skipped]).toEqual([0, 1]);
  });

  test('nothing at all is no error', async () => {
    expect((await simulate([])).text).toContain('No request in this time');
  });
});

test('a journal Relay wrote can be replayed: turns are known by their conversation, candidates by their parts', async () => {
  const relay = await serveInProcess({ accounts: TWO_PLATFORM_KEYS });
  for (const text of ['Say one', 'Say one', 'Say two']) await relay.ask('/v1/chat/completions', { body: chat(text, { model: KEY_MODEL }) });
  const records = await relay.journal();
  const context = testContext(Date.now());
  await runSimulate({ strategy: 'round-robin', since: '1h', until: 'now', json: true }, context, {
    settings: DEFAULT_CONFIG, accounts: [{ name: 'a', provider: 'openai' }, { name: 'b', provider: 'openai' }],
    records: async function* all() {
      yield* records;
    },
  });
  const report = JSON.parse(context.written.stdout) as SimulateReport;
  expect(report).toMatchObject({ replayed: 3, skipped: 0, actual: { kept: 1 }, unknown: { withoutConversation: 0 } });
});

