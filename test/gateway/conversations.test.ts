import { describe, expect, test } from 'vitest';

import type { JsonObject } from '../../src/core/json.ts';
import { createGate, ok, rateLimited, unauthorized } from '../../src/mock/steps.ts';
import { codexBody } from '../support/fake-upstream.ts';
import type { Answer, ServedRelay } from '../support/serve-in-process.ts';
import { chat, expectError, KEY_MODEL, responses, serveInProcess, serveTimed, TWO_PLATFORM_KEYS } from '../support/serve-in-process.ts';
import { waitFor } from '../support/wait-for.ts';

const accountOf = ({ headers, text, status }: Answer): string => headers.get('x-relay-account') ?? `${status} ${text}`;
const say = (relay: ServedRelay, body: JsonObject, headers: Readonly<Record<string, string>> = {}): Promise<Answer> =>
  relay.ask('/v1/chat/completions', { body, headers });
const EQUAL = { config: { routing: { strategy: 'round-robin' } } } as const;
/** Two accounts of one rank, which new conversations go to in turn. */
const inTurn = async (): Promise<ServedRelay> => {
  const relay = await serveInProcess({ ...EQUAL, accounts: [] });
  for (const name of ['a', 'b']) {
    relay.upstream.add({ name, kind: 'chatgpt' });
    await relay.daemon.control.call('accounts.add', {
      name,
      provider: 'chatgpt',
      kind: 'chatgpt',
      credential: relay.upstream.account(name).credential,
      baseUrl: null,
      wire: null,
      priority: 10,
      acceptTerms: true,
      verify: true,
    });
  }
  return relay;
};

describe('a conversation stays where it is', () => {
  const names: readonly (readonly [
    string,
    (turn: number) => { readonly body: JsonObject; readonly headers?: Readonly<Record<string, string>> },
  ])[] = [
    ['its thread', (turn) => ({ body: chat(`Turn ${turn}`), headers: { 'thread-id': 't-1' } })],
    ['its session', (turn) => ({ body: chat(`Turn ${turn}`), headers: { session_id: 's-1' } })],
    ['its cache key', (turn) => ({ body: chat(`Turn ${turn}`, { prompt_cache_key: 'k-1' }) })],
    [
      'its beginning',
      (turn) => ({
        body: chat('Hello there', {
          messages: [
            { role: 'system', content: 'Be kind.' },
            { role: 'user', content: 'Hello there' },
            ...Array.from({ length: turn }, (_, index) => [
              { role: 'assistant', content: `a${index}` },
              { role: 'user', content: `u${index}` },
            ]).flat(),
          ],
        }),
      }),
    ],
  ];
  test.each(names)('known by %s', async (_what, make) => {
    const relay = await inTurn();
    const homes: string[] = [];
    for (let turn = 0; turn < 4; turn += 1) {
      const { body, headers } = make(turn);
      homes.push(accountOf(await say(relay, body, headers)));
      // Others come in between, and move the turn on.
      await say(relay, chat(`Other ${turn}`));
    }
    expect(new Set(homes).size, homes.join()).toBe(1);
    const lines = await relay.journal();
    expect(lines.filter((_line, index) => index % 2 === 0).map(({ route }) => route?.sticky)).toEqual(['miss', 'hit', 'hit', 'hit']);
  });

  test('the same name from another client is another conversation', async () => {
    const relay = await inTurn();
    const key = await relay.client('other');
    const mine = accountOf(await say(relay, chat('x'), { 'thread-id': 't-1' }));
    const theirs = accountOf(await relay.ask('/v1/chat/completions', { key, body: chat('x'), headers: { 'thread-id': 't-1' } }));
    expect(theirs).not.toBe(mine);
  });

  test('routing.sticky false leaves each request to the strategy', async () => {
    const relay = await serveInProcess({
      config: { routing: { strategy: 'round-robin', sticky: false } },
      accounts: TWO_PLATFORM_KEYS.map((account) => ({ ...account })),
    });
    const answer = await say(relay, chat('x', { model: KEY_MODEL }), { 'thread-id': 't-1' });
    expect((await relay.line(answer.id)).route?.sticky).toBe('none');
  });

  test('it moves when its account cannot serve, and does not come back by itself', async () => {
    const relay = await serveTimed();
    const headers = { 'thread-id': 't-1' };
    expect(accountOf(await say(relay, chat('one'), headers))).toBe('a');
    relay.upstream.script('a', [rateLimited({ retryAfter: '30' })]);
    const moved = await say(relay, chat('two'), headers);
    expect(accountOf(moved)).toBe('b');
    expect((await relay.line(moved.id)).route?.sticky).toBe('moved');
    relay.clock.advance(60_000);
    expect((await relay.account('a')).state).toBe('ready');
    expect(accountOf(await say(relay, chat('three'), headers))).toBe('b');
    expect(accountOf(await say(relay, chat('a new one')))).toBe('a');
  });

  test('it is forgotten when it has been quiet for hours', async () => {
    const relay = await serveTimed();
    const headers = { 'thread-id': 't-1' };
    relay.upstream.script('a', [rateLimited({ retryAfter: '5' })]);
    expect(accountOf(await say(relay, chat('one'), headers))).toBe('b');
    relay.clock.advance(29 * 60_000);
    expect(accountOf(await say(relay, chat('two'), headers))).toBe('b');
    relay.clock.advance(3 * 3_600_000);
    expect(accountOf(await say(relay, chat('three'), headers))).toBe('a');
  });
});

describe("Codex's turn", () => {
  const codex = (relay: ServedRelay, headers: Readonly<Record<string, string>> = {}): Promise<Answer> =>
    relay.ask('/v1/responses', { headers: { originator: 'codex_cli_rs', 'thread-id': 't-1', ...headers }, body: codexBody() });
  const turnState = (relay: ServedRelay, account: string): string | undefined => relay.sent(account).at(-1)?.headers['x-codex-turn-state'];

  test('its state goes back to the account it came from', async () => {
    const relay = await serveInProcess();
    const first = await codex(relay);
    const state = first.headers.get('x-codex-turn-state') ?? '';
    expect(state).toMatch(/^ts_a_/);
    await codex(relay, { 'x-codex-turn-state': state });
    expect(turnState(relay, 'a')).toBe(state);
  });

  test('it is left out when the turn moves to another account', async () => {
    const relay = await serveInProcess();
    const state = (await codex(relay)).headers.get('x-codex-turn-state') ?? '';
    relay.upstream.script('a', [rateLimited({ retryAfter: '60' })]);
    const moved = await codex(relay, { 'x-codex-turn-state': state });
    expect(accountOf(moved)).toBe('b');
    expect(turnState(relay, 'a')).toBe(state);
    expect(turnState(relay, 'b')).toBeUndefined();
    expect(moved.headers.get('x-codex-turn-state')).toMatch(/^ts_b_/);
  });

  test('it stays when its own account is only renewed', async () => {
    const relay = await serveInProcess();
    const state = (await codex(relay)).headers.get('x-codex-turn-state') ?? '';
    relay.upstream.script('a', [unauthorized()]);
    const again = await codex(relay, { 'x-codex-turn-state': state });
    expect(accountOf(again)).toBe('a');
    expect(relay.sent('a')).toHaveLength(3);
    expect(turnState(relay, 'a')).toBe(state);
  });

  test("only Codex hears of it, and only Codex hears of the backend's limits", async () => {
    const relay = await serveInProcess();
    const answer = await relay.ask('/v1/responses', { body: responses('Say hi', { stream: true }) });
    expect([...answer.headers.keys()].filter((name) => name.startsWith('x-codex-'))).toEqual([]);
    expect((await codex(relay)).headers.get('x-codex-primary-window-minutes')).toBe('300');
  });
});

describe('what only one account can go on with', () => {
  test('a file it was given is asked of it alone, and of nobody else when it cannot', async () => {
    const relay = await serveTimed({ accounts: TWO_PLATFORM_KEYS });
    const ask = (text: string): Promise<Answer> =>
      relay.ask('/v1/responses', {
        body: responses('', {
          model: KEY_MODEL,
          input: [
            {
              role: 'user',
              content: [
                { type: 'input_file', file_id: 'file-1' },
                { type: 'input_text', text },
              ],
            },
          ],
        }),
      });
    expect(accountOf(await ask('Say one'))).toBe('a');
    expect(accountOf(await ask('Say two'))).toBe('a');
    relay.upstream.script('a', [rateLimited({ retryAfter: '3600' })]);
    const refused = await ask('Say three');
    expectError(refused, 429, 'accounts_exhausted');
    expect(relay.sent('b')).toHaveLength(0);
  });

  test('an unknown response id is an error that names the field', async () => {
    const relay = await serveInProcess();
    const answer = await relay.ask('/v1/responses', { body: responses('Say two', { previous_response_id: 'resp_never' }) });
    expectError(answer, 400, 'previous_response_not_found');
    expect(answer.error?.['param']).toBe('previous_response_id');
  });
});

test('who runs what is told while it runs', async () => {
  const relay = await serveInProcess();
  const gate = createGate();
  relay.upstream.script('a', [ok({ text: 'one two three', break: { at: { afterDeltas: 2 }, how: 'hang', gate } })]);
  const asked = relay.ask('/v1/responses', { body: responses('Say live', { stream: true }) });
  const running = await waitFor(() => relay.daemon.live.running().find(({ outputEvents }) => outputEvents >= 2), 'two deltas');
  expect(running).toMatchObject({
    client: 'default',
    endpoint: 'responses',
    stream: true,
    model: 'gpt-5.5',
    account: 'a',
    provider: 'chatgpt',
    phase: 'streaming',
    attempts: 1,
  });
  expect((await relay.account('a')).inFlight).toBe(1);
  gate.release();
  expect((await asked).broken).toBe(false);
  expect((await relay.account('a')).inFlight).toBe(0);
});
