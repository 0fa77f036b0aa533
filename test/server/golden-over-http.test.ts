import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import type { JsonObject } from '../../src/core/json.ts';
import { isJsonObject, objectAt, parseJsonObject, stringAt } from '../../src/core/json.ts';
import type { ProviderKind } from '../../src/core/provider-kind.ts';
import { ok } from '../../src/mock/steps.ts';
import type { Golden, Translated } from '../support/golden.ts';
import { goldenCases, goldenStream, judge, spelledOut } from '../support/golden.ts';
import type { Answer, ServedRelay } from '../support/serve-in-process.ts';
import { KEY_MODEL, serveInProcess, SIGN_IN_MODEL } from '../support/serve-in-process.ts';

/** Every profile's account at the mock, as Relay knows it: one key of the mock's, under several providers. */
const UPSTREAMS: Readonly<Record<string, { readonly account: string; readonly kind: ProviderKind; readonly wire: 'chat' | 'responses' }>> = {
  openai: { account: 'platform', kind: 'compatible', wire: 'responses' },
  'chat-generic': { account: 'generic', kind: 'compatible', wire: 'chat' },
  deepseek: { account: 'deep', kind: 'deepseek', wire: 'chat' },
  gemini: { account: 'gem', kind: 'gemini', wire: 'chat' },
};

let relay: ServedRelay;
const keys = new Map<string, string>();

beforeAll(async () => {
  relay = await serveInProcess({
    accounts: [{ name: 'sign-in', kind: 'chatgpt', plan: 'pro' }, { name: 'key', kind: 'api-key', apiKey: 'sk-upstream-golden' }], until: 'suite',
  });
  keys.set('codex', await relay.client('codex', { accounts: ['sign-in'] }));
  for (const [profile, { account, kind, wire }] of Object.entries(UPSTREAMS)) {
    await relay.daemon.control.call('accounts.add', {
      name: account, provider: account, kind, credential: relay.upstream.account('key').credential, wire, priority: 9,
      baseUrl: relay.upstream.platformBaseUrl, acceptTerms: true, verify: kind === 'compatible',
    });
    keys.set(profile, await relay.client(profile, { accounts: [account] }));
  }
});
afterAll(() => relay.stop());

/** The case with a model the mock serves in place of the corpus's own names. */
function served(golden: Golden): Golden {
  const model = golden.profile === 'codex' ? SIGN_IN_MODEL : KEY_MODEL;
  const text = JSON.stringify({ input: golden.input, expected: golden.expected }).replaceAll(/"model":"(gpt-x|m)"/g, `"model":"${model}"`);
  const renamed = parseJsonObject(text);
  return { ...golden, input: objectAt(renamed, 'input') ?? {}, expected: objectAt(renamed, 'expected') ?? {} };
}

function errorOf(answer: Answer): Translated {
  return { error: { status: answer.status, error: answer.error ?? {} } };
}

async function sendRequest(golden: Golden): Promise<Translated> {
  const path = stringAt(golden.input, 'path') ?? (golden.direction.startsWith('request/chat') ? '/v1/chat/completions' : '/v1/responses');
  const before = relay.sent().length;
  const answer = await relay.ask(path, { key: keys.get(golden.profile) ?? null, body: objectAt(golden.input, 'body') ?? {} });
  if (answer.status !== 200 && relay.sent().length === before) return errorOf(answer);
  const body = relay.sent().at(-1)?.body;
  const dropped = (answer.headers.get('x-relay-dropped') ?? '').split(',').map((name) => name.trim()).filter((name) => name !== '');
  expect(answer.status, answer.text.slice(0, 300)).toBe(200);
  return { ...(isJsonObject(body) && { body }), dropped };
}

// Cases about a catalogue or a store of their own are judged where these can be given.
const requests = goldenCases('request/').filter(({ input }) => input['catalog'] === undefined && input['state'] === undefined);

describe('the golden requests, as an upstream receives them', () => {
  test.each(requests.map((golden) => [golden.name, golden] as const))('%s', async (_name, golden) => {
    const own = served(golden);
    expect(judge(own, await sendRequest(own))).toEqual([]);
  });
});

/** What the client of a recorded answer asked: its own wire, streamed or not, with the tools the case names. */
function questionOf(golden: Golden): { readonly path: string; readonly body: JsonObject } {
  const [kind, direction = ''] = golden.direction.split('/');
  const toChat = kind === 'response' && direction.startsWith('responses-to-chat');
  const model = golden.profile === 'codex' ? SIGN_IN_MODEL : KEY_MODEL;
  const asked = toChat ? { messages: [{ role: 'user', content: 'x' }] } : { input: 'x' };
  const stream = direction.endsWith('-stream');
  const usage = toChat && golden.input['include_usage'] === true && stream ? { stream_options: { include_usage: true } } : {};
  return {
    path: toChat ? '/v1/chat/completions' : '/v1/responses',
    body: { ...objectAt(golden.input, 'request'), ...asked, model, stream, ...usage },
  };
}

async function sendAnswer(golden: Golden): Promise<Translated> {
  const { path, body } = questionOf(golden);
  const whole = objectAt(golden.input, 'body');
  const sizes = golden.input['rechunk'];
  const size = Array.isArray(sizes) ? sizes[0] : sizes;
  relay.upstream.script(golden.profile === 'codex' ? 'sign-in' : 'key', [ok({
    ...(whole ? { body: JSON.stringify(whole) } : { frames: [goldenStream(golden)] }),
    ...(typeof size === 'number' && { drip: { bytes: size, everyMs: 0 } }),
  })]);
  const answer = await relay.ask(path, { key: keys.get(golden.profile) ?? null, body });
  if (answer.status !== 200) return errorOf(answer);
  return body['stream'] === true ? { sse: answer.text } : { final: answer.json ?? {} };
}

const isRefused = ({ expected }: Golden): boolean => expected['error'] !== undefined;
const answers = [...goldenCases('response/'), ...goldenCases('aggregate/')];

describe('the golden answers, as a client receives them', () => {
  test.each(answers.filter((golden) => !isRefused(golden)).map((golden) => [golden.name, golden] as const))('%s', async (_name, golden) => {
    expect(judge(spelledOut(golden), await sendAnswer(golden))).toEqual([]);
  });

  test.each(answers.filter(isRefused).map((golden) => [golden.name, golden] as const))('%s, as often as it is tried', async (_name, golden) => {
    const own = await serveInProcess({ accounts: [{ name: 'only', kind: 'chatgpt', plan: 'pro' }], config: { retry: { maxAttempts: 2 } } });
    const frames = [goldenStream(golden)];
    own.upstream.script('only', [ok({ frames }), ok({ frames })]);
    const answer = await own.ask('/v1/responses', { body: { model: SIGN_IN_MODEL, input: 'x' } });
    expect(judge(golden, { error: { status: answer.status, error: { ...answer.error } } })).toEqual([]);
  });
});
