import { describe, expect, test } from 'vitest';

import { changeWords, recordedChanges } from '../../src/cli/choice-words.ts';
import { runShow } from '../../src/cli/show.ts';
import type { RouteRecord } from '../../src/core/record.ts';
import type { Candidate } from '../../src/routing/candidate.ts';
import { chooseAccount, routeRecord } from '../../src/routing/choose-account.ts';
import { candidateNamed, choiceOf, healthWith, paidNamed, windowOf } from '../routing/builders.ts';
import { testContext } from '../support/command-context.ts';
import { finishedRequest, NOW } from '../support/tui-fixture.ts';
import { memoryUsageData } from '../support/usage-data.ts';

const recorded = (candidates: readonly Candidate[], change: Parameters<typeof choiceOf>[0] = {}): RouteRecord => routeRecord(chooseAccount(candidates, choiceOf(change)));

const CHEAP = paidNamed('cheap', { usdPerMillion: 0.1, health: healthWith({ quota: [windowOf({ usedPercent: 60 })] }) });
const DEAR = paidNamed('dear', { usdPerMillion: 60 });

describe('what a journal line says would have changed its choice', () => {
  test('the strategy that would have taken another account, as choosing with it does', () => {
    const changes = recordedChanges(recorded([DEAR, CHEAP]));
    expect(changes).toContainEqual({ change: 'strategy', account: 'cheap', to: 'cheapest' });
    expect(chooseAccount([DEAR, CHEAP], choiceOf({ strategy: 'cheapest' })).account?.name).toBe('cheap');
  });

  test('the part of its score that lacked least', () => {
    const used = (usedPercent: number) => healthWith({ quota: [windowOf({ usedPercent })] });
    expect(recordedChanges(recorded([candidateNamed('a', { health: used(10) }), candidateNamed('b', { health: used(30) })])))
      .toContainEqual(expect.objectContaining({ change: 'part', account: 'b', to: 'headroom' }));
  });

  test.each<[string, RouteRecord]>([
    ['a conversation that stayed where it was', recorded([DEAR, CHEAP], { sticky: { kind: 'known', accountId: 'acc_dear', bound: false } })],
    ['weights of the user\'s own', recorded([DEAR, CHEAP], { weights: { cost: 99 } })],
    ['a line that was trimmed', { ...recorded([DEAR, CHEAP]), why: recorded([DEAR, CHEAP]).why.map(({ parts: _parts, ...kept }) => kept) }],
    ['a line of another version', { ...recorded([DEAR, CHEAP]), strategy: 'by-moonlight' }],
    ['nobody at all', { strategy: 'balanced', sticky: 'none', why: [] }],
  ])('is nothing for %s', (_what, route) => {
    expect(recordedChanges(route)).toEqual([]);
  });

  test('relay show tells it, with the command', async () => {
    const context = testContext(NOW, { columns: 120 });
    const record = { ...finishedRequest(), account: 'dear', route: recorded([DEAR, CHEAP]) };
    await runShow(record.id, {}, context, memoryUsageData([record]));
    expect(context.written.stdout).toContain('Otherwise');
    expect(context.written.stdout).toContain('cheap with another strategy: relay config set routing.strategy cheapest');
  });
});

test('every change is a sentence without control characters, whatever an account is called', () => {
  const kinds = ['strategy', 'priority', 'part', 'resume', 'login', 'unlock', 'wake', 'wait', 'slot', 'paid-overflow', 'allow'] as const;
  for (const change of kinds) {
    const words = changeWords({ change, account: 'a\x1b[2Jb', to: 'x\ny', from: 0.1, needed: 0.5, until: NOW + 90_000 }, { client: 'c\x07', now: NOW });
    expect(words).toMatch(/^[^\p{Cc}]{5,}$/u);
  }
  expect(changeWords({ change: 'wake', account: 'a', until: NOW + 90_000 }, { client: null, now: NOW })).toBe('a if it did not wait: relay keys wake a; by itself in 1m');
});
