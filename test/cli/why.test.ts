import { describe, expect, test } from 'vitest';

import { runWhy } from '../../src/cli/why.ts';
import { chat, serveInProcess, SIGN_IN_MODEL, TWO_SIGN_INS } from '../support/serve-in-process.ts';
import { testContext } from '../support/command-context.ts';
import type { ServedRelay } from '../support/serve-in-process.ts';
import type { WhyReport } from '../../src/core/views.ts';

async function why(relay: ServedRelay, model: string, client: string | null = null): Promise<{ readonly report: WhyReport; readonly text: string }> {
  const [data, people] = [testContext(Date.now()), testContext(Date.now(), { columns: 140 })];
  const ask = (asked: { readonly model: string; readonly client: string | null }): Promise<WhyReport> => relay.daemon.control.call('routing.why', asked);
  await runWhy({ model, json: true, ...(client !== null && { client }) }, data, ask);
  await runWhy({ model, ...(client !== null && { client }) }, people, ask);
  return { report: JSON.parse(data.written.stdout) as WhyReport, text: people.written.stdout };
}

describe('relay why', () => {
  test('names who would serve, as the next request proves, and sends nothing', async () => {
    const relay = await serveInProcess({ accounts: TWO_SIGN_INS });
    const sent = relay.sent().length;
    const { report, text } = await why(relay, SIGN_IN_MODEL);
    expect(relay.sent()).toHaveLength(sent);
    expect(report).toMatchObject({ asked: SIGN_IN_MODEL, client: null, strategy: 'balanced', refusal: null, models: [{ model: SIGN_IN_MODEL, account: 'a' }] });
    expect(report.models[0]?.candidates).toMatchObject([{ account: 'a', provider: 'chatgpt', priority: 1, score: expect.any(Number) }, { account: 'b', priority: 2 }]);
    expect(text).toContain('a would serve it');
    const answer = await relay.ask('/v1/chat/completions', { body: chat('Say hi') });
    expect(answer.headers.get('x-relay-account')).toBe('a');
  });

  test('says what put an account out and the command that would change it', async () => {
    const relay = await serveInProcess({ accounts: TWO_SIGN_INS });
    await relay.daemon.control.call('accounts.pause', { name: 'a' });
    const { report, text } = await why(relay, SIGN_IN_MODEL);
    expect(report.models[0]).toMatchObject({ account: 'b', changes: expect.arrayContaining([{ change: 'resume', account: 'a', until: null }]) });
    expect(text).toContain('passed over: paused');
    expect(text).toContain('relay keys resume a');
  });

  test('follows aliases and their fixed parameters, and the fallbacks behind them', async () => {
    const relay = await serveInProcess({ accounts: TWO_SIGN_INS, config: { models: { aliases: { fast: { models: [SIGN_IN_MODEL], effort: 'low', tier: 'priority' } } } } });
    const { report, text } = await why(relay, 'fast');
    expect(report.models).toMatchObject([{ model: SIGN_IN_MODEL, effort: 'low', tier: 'priority', account: 'a' }]);
    expect(text).toContain('effort low, tier priority');
  });

  test('keeps to a client\'s scope, and tells what it would be told', async () => {
    const relay = await serveInProcess({ accounts: TWO_SIGN_INS });
    await relay.client('narrow', { models: ['other-*'], accounts: ['b'] });
    await relay.client('second', { accounts: ['b'] });
    expect((await why(relay, SIGN_IN_MODEL, 'narrow')).report).toMatchObject({ client: 'narrow', models: [], refusal: { status: 403, code: 'insufficient_scope' } });
    const { report, text } = await why(relay, SIGN_IN_MODEL, 'second');
    expect(report.models[0]).toMatchObject({ account: 'b', changes: expect.arrayContaining([expect.objectContaining({ change: 'allow', account: 'a' })]) });
    expect(text).toContain('relay clients set second --accounts …,a');
  });

  test('an unknown model is told as a client would be told, an unknown client is the caller\'s error', async () => {
    const relay = await serveInProcess({ accounts: TWO_SIGN_INS });
    const { report, text } = await why(relay, 'no-such-model');
    expect(report).toMatchObject({ models: [], refusal: { status: 404, code: 'model_not_found' } });
    expect(text).toContain('nobody can serve it now');
    await expect(why(relay, SIGN_IN_MODEL, 'nobody')).rejects.toThrow('There is no client "nobody"');
  });

  test('with everybody out it says until when, and what a client is told', async () => {
    const relay = await serveInProcess({ accounts: TWO_SIGN_INS });
    for (const name of ['a', 'b']) await relay.daemon.control.call('accounts.pause', { name });
    const { report, text } = await why(relay, SIGN_IN_MODEL);
    expect(report).toMatchObject({ refusal: { status: 503, code: 'no_account' }, models: [{ account: null, waitUntil: null }] });
    expect(text).toContain('503 no_account');
  });
});
