import { describe, expect, test } from 'vitest';

import type { Account, AccountHealth } from '../../src/core/account.ts';
import { UNKNOWN_HEALTH } from '../../src/core/account.ts';
import { DEFAULT_CONFIG } from '../../src/core/config.ts';
import type { Failure } from '../../src/core/failure.ts';
import type { JsonObject } from '../../src/core/json.ts';
import type { LiveEvent, Send, UpstreamCall } from '../../src/core/ports.ts';
import { EMPTY_STATE } from '../../src/core/state.ts';
import type { AccountReport } from '../../src/gateway/account-pool.ts';
import { startUsagePoll } from '../../src/gateway/usage-poll.ts';
import { usageLimited } from '../../src/mock/steps.ts';
import { accountNamed } from '../routing/builders.ts';
import { FAKE_START, fakeClock } from '../support/fake-clock.ts';
import type { TimedRelay } from '../support/serve-in-process.ts';
import { chat, KEY_MODEL, serveTimed, TWO_SIGN_INS } from '../support/serve-in-process.ts';
import { waitFor } from '../support/wait-for.ts';

const MINUTE = 60_000;

/** A poll over accounts whose reports answer as a test says, with a note of every call. */
function polled(accounts: readonly Account[], answer: (call: UpstreamCall) => { readonly status: number; readonly body: unknown } = () => ({ status: 200, body: {} })) {
  const clock = fakeClock();
  const asked: { readonly at: number; readonly url: string }[] = [];
  const reports: AccountReport[] = [];
  const refused: Failure[] = [];
  let health: Record<string, AccountHealth> = {};
  let known = accounts;
  const send: Send = (call) => {
    asked.push({ at: clock.now() - FAKE_START, url: call.url });
    const { status, body } = answer(call);
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    return Promise.resolve({ ok: true, answer: {
      status, headers: {},
      body: { start: (sink) => void (sink.onBytes(new TextEncoder().encode(text)), sink.onEnd()), pause() {}, resume() {}, release() {}, destroy() {} },
    } });
  };
  const poll = startUsagePoll({
    clock, send, settings: () => DEFAULT_CONFIG, version: '0', pool: { sawReport: (_account, report) => reports.push(report), standingRefused: (_account, failure) => refused.push(failure) },
    signIns: {
      credential: () => Promise.resolve({ ok: true, credential: { kind: 'api-key', apiKey: 'k' } }), renew: () => Promise.reject(new Error('a report spent a refresh token')),
      renewAhead: () => Promise.resolve(null), forget() {}, unsaved: () => [], saveAll: () => Promise.resolve(),
    },
    state: { read: () => ({ ...EMPTY_STATE, accounts: known, health }), update: (change) => Promise.resolve(change({ ...EMPTY_STATE })), note() {}, flush: () => Promise.resolve() },
  });
  const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  return {
    clock, asked, reports, refused, poll,
    /** Lets time pass in steps of a quarter minute. */
    async pass(ms: number) {
      await settled();
      for (let left = ms; left > 0; left -= 15_000) {
        clock.advance(15_000);
        await settled();
      }
    },
    /** A request that was served by this account has ended. */
    used: (name: string) => poll.saw(finished(name)),
    setHealth: (id: string, value: AccountHealth) => (health = { ...health, [id]: value }),
    setAccounts: (next: readonly Account[]) => (known = next),
  };
}

function finished(account: string): LiveEvent {
  return { type: 'finish', record: {
    v: 1, seq: 1, h: '', t: 0, k: 'close', id: 'req_1', client: 'c', member: null, project: null, env: null, endpoint: 'chat', stream: false,
    model: { asked: 'm', sent: 'm', ran: 'm' }, provider: 'chatgpt', account, status: 200, outcome: 'ok', error: null,
    attempts: [{ account, provider: 'chatgpt', model: 'm', t: 0, ms: 1, status: 200, error: null, phase: 'committed' }], tokens: null,
    tier: { asked: null, served: null }, cost: { list: 0, charged: 0, price: null }, ms: { queue: 0, ttft: 1, total: 1 }, route: null, upstreamRequestId: null, dropped: [],
  } };
}

describe('when a report is asked for', () => {
  test('once after the start, and never again while nobody uses Relay', async () => {
    const { asked, pass } = polled([accountNamed('a'), accountNamed('b')]);
    await pass(6 * 60 * MINUTE);
    expect(asked.map(({ at }) => at)).toEqual([0, 0]);
  });

  test('behind traffic at most once a minute, and only of the account that had it', async () => {
    const { asked, pass, used } = polled([accountNamed('a'), accountNamed('b')]);
    await pass(MINUTE);
    for (let quarter = 0; quarter < 40; quarter += 1) {
      used('a');
      await pass(15_000);
    }
    const times = asked.slice(2).map(({ at }) => at);
    expect(times.length).toBeGreaterThanOrEqual(9);
    expect(times.every((at, index) => index === 0 || at - (times[index - 1] ?? 0) >= MINUTE)).toBe(true);
    await pass(60 * MINUTE);
    expect(asked.slice(2 + times.length).length).toBeLessThanOrEqual(1);
  });

  test('seldom where the answers themselves carry the quota', async () => {
    const { asked, pass, used, clock, setHealth } = polled([accountNamed('a')]);
    for (let minute = 0; minute < 20; minute += 1) {
      setHealth('acc_a', { ...UNKNOWN_HEALTH, quota: [{ bucket: 'codex', minutes: 300, usedPercent: 3, resetsAt: null, seenAt: clock.now() }] });
      used('a');
      await pass(MINUTE);
    }
    expect(asked.length).toBeLessThanOrEqual(5);
    expect(asked.length).toBeGreaterThanOrEqual(3);
  });

  test('of a spent quota every two to thirty minutes, and only while somebody is there', async () => {
    const { asked, pass, used, clock, setHealth } = polled([accountNamed('a'), accountNamed('b')]);
    await pass(MINUTE);
    setHealth('acc_a', { ...UNKNOWN_HEALTH, cooldowns: [{ scope: 'bucket:codex', until: clock.now() + 999 * MINUTE, since: clock.now(), reason: 'usage_limit_reached' }] });
    const start = clock.now() - FAKE_START;
    for (let minute = 0; minute < 120; minute += 1) {
      used('b');
      await pass(MINUTE);
    }
    const times = asked.filter(({ at }) => at > start).map(({ at }) => (at - start) / MINUTE);
    const ofA = times.filter((at) => [2, 6, 14, 30, 60, 90].some((due) => Math.abs(at - due) < 0.6));
    expect(ofA.length).toBeGreaterThanOrEqual(5);
    const before = asked.length;
    await pass(10 * 60 * MINUTE);
    expect(asked.length - before).toBeLessThanOrEqual(2);
  });

  test('never of an account that is paused, needs a person, is gone, or has no report', async () => {
    const { asked, pass, setAccounts } = polled([
      accountNamed('a', { paused: true }), accountNamed('b', { needsLogin: { reason: 'x', at: 0 } }), accountNamed('c', { kind: 'openai', provider: 'openai' }),
    ]);
    await pass(MINUTE);
    setAccounts([]);
    await pass(MINUTE);
    expect(asked).toEqual([]);
  });
});

describe('what a report does', () => {
  test('quota, plan and single models of a sign-in are kept; a balance of a key', async () => {
    const body: JsonObject = {
      plan_type: 'pro', rate_limit: { primary_window: { used_percent: 12, limit_window_seconds: 18_000, reset_after_seconds: 60 } },
      model_usage: { 'gpt-6-sol': { available: false, available_at: null } },
    };
    const { reports, pass } = polled([accountNamed('a')], () => ({ status: 200, body }));
    await pass(15_000);
    expect(reports).toMatchObject([{ plan: 'pro', windows: [{ minutes: 300, usedPercent: 12 }], models: [{ model: 'gpt-6-sol', available: false }], balance: null }]);
    const key = polled([accountNamed('k', { kind: 'deepseek', provider: 'deepseek' })], () => ({ status: 200, body: { balance_infos: [{ currency: 'USD', total_balance: '0.00' }] } }));
    await key.pass(15_000);
    expect(key.reports).toMatchObject([{ balance: { amount: 0, currency: 'USD' } }]);
    expect(key.asked[0]?.url).toContain('/user/balance');
  });

  test.each([401, 403])('%i says nothing of the account, spends no refresh token and is not repeated for five minutes', async (status) => {
    const { asked, refused, pass, used } = polled([accountNamed('a')], () => ({ status, body: { detail: 'no' } }));
    for (let quarter = 0; quarter < 16; quarter += 1) {
      used('a');
      await pass(15_000);
    }
    expect({ asked: asked.length, refused }).toEqual({ asked: 1, refused: [] });
    await pass(2 * MINUTE);
    expect(asked).toHaveLength(2);
  });

  test.each([402, 404])('%i in JSON means that the account is no more: it is refused, not forgotten', async (status) => {
    const { refused, pass } = polled([accountNamed('a')], () => ({ status, body: { detail: 'gone' } }));
    await pass(15_000);
    expect(refused).toMatchObject([{ kind: 'account-refused', status }]);
  });

  test('a deactivated account is told by its word, with any status', async () => {
    const { refused, pass } = polled([accountNamed('a')], () => ({ status: 403, body: { error: { code: 'account_deactivated', message: 'x' } } }));
    await pass(15_000);
    expect(refused).toMatchObject([{ kind: 'login-dead', code: 'account_deactivated' }]);
  });

  test.each([['a page', '<html>404</html>'], ['a text', 'Not Found']])('a 404 that is %s is an address without a report, and is left alone', async (_what, body) => {
    const { refused, asked, pass, used } = polled([accountNamed('a')], () => ({ status: 404, body }));
    for (let minute = 0; minute < 60; minute += 1) {
      used('a');
      await pass(MINUTE);
    }
    expect({ refused, asked: asked.length }).toEqual({ refused: [], asked: 1 });
  });
});

describe('in the running daemon', () => {
  const reportsOf = (relay: TimedRelay, name: string) => relay.upstream.callsOf(name, '/wham/usage');

  test('a spent quota that is given back early is noticed and used, long before its reset', async () => {
    const relay = await serveTimed({ accounts: TWO_SIGN_INS.slice(0, 1) });
    relay.upstream.script('a', [usageLimited({ resetsAt: Math.floor(relay.clock.now() / 1_000) + 4 * 3_600, resetsInSeconds: 4 * 3_600 })]);
    const refused = await relay.ask('/v1/chat/completions', { body: chat('Say spent') });
    expect({ status: refused.status, type: refused.error?.['type'] }).toEqual({ status: 429, type: 'usage_limit_reached' });
    expect(await relay.account('a')).toMatchObject({ state: 'cooldown', reason: 'usage_limit_reached' });
    const before = reportsOf(relay, 'a').length;
    for (let second = 0; second < 180; second += 5) relay.clock.advance(5_000);
    await waitFor(() => reportsOf(relay, 'a').length > before, 'the report');
    await waitFor(async () => (await relay.account('a')).state === 'ready', 'the account to be ready');
    expect((await relay.ask('/v1/chat/completions', { body: chat('Say again') })).status).toBe(200);
  });

  test('a key without money is passed over, says so, and serves again once it has some', async () => {
    const relay = await serveTimed({ accounts: [{ name: 'a', kind: 'api-key', apiKey: 'sk-upstream-first', provider: 'openai' }] });
    const key = relay.upstream.add({ name: 'deep', kind: 'api-key', apiKey: 'sk-upstream-deep' });
    await relay.daemon.control.call('accounts.add', {
      name: 'deep', provider: 'deepseek', kind: 'deepseek', credential: key.credential, wire: null, priority: 0, baseUrl: relay.upstream.platformBaseUrl,
      acceptTerms: true, verify: true,
    });
    const servedBy = async (text: string): Promise<string | null> => (await relay.ask('/v1/chat/completions', { body: chat(text, { model: KEY_MODEL }) })).headers.get('x-relay-account');
    const look = async (): Promise<void> => {
      const before = reportsAt('deep');
      for (let second = 0; second < 200; second += 5) relay.clock.advance(5_000);
      await waitFor(() => reportsAt('deep') > before, 'a look at the balance');
    };
    const reportsAt = (name: string): number => relay.upstream.callsOf(name, '/user/balance').length;
    expect(await servedBy('Say one')).toBe('deep');
    key.balanceUsd = 0;
    await look();
    await waitFor(async () => (await relay.account('deep')).state === 'cooldown', 'the key to be out');
    expect(await relay.account('deep')).toMatchObject({ reason: 'insufficient_balance', balance: { amount: 0, currency: 'USD' } });
    expect(await servedBy('Say two')).toBe('a');
    key.balanceUsd = 5;
    await look();
    await waitFor(async () => (await relay.account('deep')).state === 'ready', 'the key to be back');
    expect(await servedBy('Say three')).toBe('deep');
  });
});
