import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';

import type { JsonObject } from '../../src/core/json.ts';
import { arrayAt, parseJsonObject, stringAt } from '../../src/core/json.ts';
import type { MockStep } from '../../src/mock/steps.ts';
import { cut, failed, failedEvent, frameOf, ok, rateLimited, refuse, usageLimited } from '../../src/mock/steps.ts';
import { pinnedClient } from './pinned-client.ts';
import type { ClientRun, TwoAccounts, UserFolder } from './two-accounts.ts';
import { MODEL, startTwoAccounts, treeOf, UPSTREAM_KINDS } from './two-accounts.ts';

const claude = await pinnedClient('@anthropic-ai/claude-code@2.1.330');

const COMMAND = 'echo once >> marker.txt && echo the tool was here';
/** One call of Claude Code's shell. */
const SHELL = ok({ calls: [{ name: 'Bash', payload: JSON.stringify({ command: COMMAND }) }] });
/** Nothing but what the test is about leaves the process, and nothing of this machine's own Claude gets in. */
const QUIET = { CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1', CLAUDECODE: undefined, CLAUDE_CODE_ENTRYPOINT: undefined, CLAUDE_CONFIG_DIR: undefined };

/** A search as the ChatGPT backend tells it: its sources are the pages it cites. */
const SEARCHED = ((): readonly string[] => {
  const annotation = { type: 'url_citation', url: 'https://weather.example/rome', title: 'Rome today', start_index: 0, end_index: 5 };
  const search = { type: 'web_search_call', id: 'ws_1', status: 'completed', action: { type: 'search', query: 'weather in Rome' } };
  const message = { type: 'message', id: 'msg_1', role: 'assistant', status: 'completed', content: [{ type: 'output_text', text: 'Sunny in Rome', annotations: [annotation] }] };
  const response = { id: 'resp_1', object: 'response', model: MODEL, status: 'completed', output: [], usage: { input_tokens: 9, output_tokens: 3, total_tokens: 12 } };
  return [
    frameOf('response.created', { type: 'response.created', response: { ...response, status: 'in_progress' } }),
    frameOf('response.output_item.done', { type: 'response.output_item.done', output_index: 0, item: search }),
    frameOf('response.output_item.done', { type: 'response.output_item.done', output_index: 1, item: message }),
    frameOf('response.completed', { type: 'response.completed', response }),
  ];
})();

interface RunChange {
  readonly user?: UserFolder;
  readonly args?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
}

/** `claude -p` in a folder of its own; `first` answers with a tool call and then as the steps say. */
async function runClaude(stage: TwoAccounts, steps: readonly MockStep[], { user, args = [], env = {} }: RunChange = {}): Promise<ClientRun> {
  if (claude === null) throw new Error('Claude Code is not installed');
  stage.upstream.script('first', [SHELL, ...steps]);
  const given = ['-p', 'Leave a mark', '--output-format', 'json', '--allowedTools', 'Bash', '--model', MODEL, ...args];
  return stage.runClient('claude', given, { client: claude, user: user ?? (await stage.makeUser()), env: { ...QUIET, ...env } });
}

describe.skipIf(claude === null).each(UPSTREAM_KINDS)('claude code 2.1.330 through relay run, over %s', (kind) => {
  let stage: TwoAccounts;
  beforeAll(async () => {
    stage = await startTwoAccounts(kind);
  });
  afterEach(() => mend(stage));
  afterAll(() => stage?.close());

  test('the tool round: its command runs once, and its output is in the answer', async () => {
    const run = await runClaude(stage, []);
    await expectDone(run);
    expect(run.journal.map(({ endpoint, account, outcome, stream, attempts }) => [endpoint, account, outcome, stream, attempts.length]))
      .toEqual([['messages', 'first', 'ok', true, 1], ['messages', 'first', 'ok', true, 1]]);
    expect(run.journal.every(({ model, tokens }) => model.ran === MODEL && tokens !== null && tokens.input > 1_000)).toBe(true);
  });

  test('U03 a 429 in the tool round moves to the other account, unnoticed', async () => {
    const run = await runClaude(stage, [rateLimited({ retryAfter: '30' })]);
    await expectDone(run);
    expect(run.journal.map(({ attempts }) => attempts.map(({ account, status }) => [account, status])))
      .toEqual([[['first', 200]], [['first', 429], ['second', 200]]]);
  });

  test('a stream cut after its first words is never taken for an answer', async () => {
    const words = ok({ text: 'These words were lost on the way', break: { at: { afterDeltas: 2 }, how: 'eof' } });
    const run = await runClaude(stage, [words, ok({ text: 'All of it this time' })]);
    expect(run.code, `${run.stdout}\n${run.stderr}`).toBe(0);
    expect(resultOf(run)).toMatchObject({ is_error: false, result: 'All of it this time' });
    expect(await marks(run)).toBe('once\n');
    expect(run.journal.map(({ outcome }) => outcome)).toEqual(['ok', 'broken_stream', 'ok']);
  });
});

describe.skipIf(claude === null)('claude code 2.1.330 over ChatGPT sign-ins', () => {
  let stage: TwoAccounts;
  beforeAll(async () => {
    stage = await startTwoAccounts();
  });
  afterEach(() => mend(stage));
  afterAll(() => stage?.close());

  test('its reasoning comes back with the tool round, sealed as it was', async () => {
    const before = stage.upstream.callsOf('first', '/codex/responses').length;
    await expectDone(await runClaude(stage, []));
    const [, round] = stage.upstream.callsOf('first', '/codex/responses').slice(before);
    const items = arrayAt(round?.body, 'input') ?? [];
    expect(items.filter((item) => stringAt(item, 'type') === 'reasoning')).toMatchObject([{ id: expect.stringMatching(/^rs_/), encrypted_content: expect.stringMatching(/^gAAAA/) }]);
    expect(round?.body?.['prompt_cache_key']).toMatch(/^[\da-f-]{36}$/);
    expect(round?.headers['session-id']).toBe(round?.body?.['prompt_cache_key']);
  });

  test.each<[string, MockStep]>([
    ['a 503', failed(503)],
    ['a failure in the stream before any output', failedEvent('server_error', 'The server had an error.')],
    ['a limit in the stream before any output', failedEvent('rate_limit_exceeded', 'Rate limit reached. Please try again in 20s.')],
    ['a connection closed before any output', cut('after-first-event')],
  ])('%s in the tool round is not noticed', async (_what, step) => {
    const run = await runClaude(stage, [step]);
    await expectDone(run);
    expect(run.journal).toHaveLength(2);
    expect(run.journal[1]?.attempts.map(({ error }) => error === null)).toEqual([false, true]);
  });

  test('without a model named, it takes the first of the sign-in', async () => {
    if (claude === null) throw new Error('Claude Code is not installed');
    stage.upstream.script('first', [ok({ text: 'Hello to you' })]);
    const run = await stage.runClient('claude', ['-p', 'Hello', '--output-format', 'json'], { client: claude, user: await stage.makeUser(), env: QUIET });
    expect(resultOf(run)).toMatchObject({ is_error: false, result: 'Hello to you' });
    const [first] = (await modelsOf(stage)).filter((id) => id.startsWith('gpt-'));
    expect(run.journal.map(({ model }) => model.sent)).toEqual([first]);
  });

  test('its web search is run by the upstream, and comes back as pages', async () => {
    if (claude === null) throw new Error('Claude Code is not installed');
    const call = (name: string, payload: object): MockStep => ok({ calls: [{ name, payload: JSON.stringify(payload) }] });
    stage.upstream.script('first', [call('ToolSearch', { query: 'select:WebSearch', max_results: 1 }), call('WebSearch', { query: 'weather in Rome' }), ok({ frames: SEARCHED })]);
    const given = ['-p', 'What is the weather in Rome?', '--output-format', 'json', '--allowedTools', 'ToolSearch', 'WebSearch', '--model', MODEL];
    const run = await stage.runClient('claude', given, { client: claude, user: await stage.makeUser(), env: QUIET });
    expect(run.code, `${run.stdout}\n${run.stderr}`).toBe(0);
    expect(run.journal.map(({ outcome }) => outcome)).toEqual(['ok', 'ok', 'ok', 'ok']);
    const sent = stage.upstream.callsOf('first', '/codex/responses').slice(-2);
    expect(sent[0]?.body?.['tools']).toEqual([expect.objectContaining({ type: 'web_search' })]);
    const outputs = (arrayAt(sent[1]?.body, 'input') ?? []).filter((item) => stringAt(item, 'type') === 'function_call_output');
    expect(stringAt(outputs.at(-1), 'output')).toMatch(/https:\/\/weather\.example[^]*Sunny in Rome/);
  });

  test('with every account spent it gives up at once and says so', async () => {
    const resetsAt = Math.floor(Date.now() / 1_000) + 7_200;
    const spent = usageLimited({ resetsAt, resetsInSeconds: 7_200 });
    stage.upstream.script('second', [spent]);
    const run = await runClaude(stage, [spent]);
    expect(run.code).toBe(1);
    expect(resultOf(run)).toMatchObject({ is_error: true, api_error_status: 429 });
    expect(run.journal.map(({ status, outcome }) => [status, outcome])).toEqual([[200, 'ok'], [429, 'failed']]);
  });

  test('a user\'s own settings that point elsewhere are neither followed nor changed', async () => {
    const user = await stage.makeUser();
    const file = join(user.home, '.claude', 'settings.json');
    const text = JSON.stringify({ env: { ANTHROPIC_BASE_URL: 'http://127.0.0.1:9', ANTHROPIC_AUTH_TOKEN: 'sk-of-the-user', ANTHROPIC_MODEL: 'claude-opus-4-8' } });
    await mkdir(join(user.home, '.claude'));
    await writeFile(file, text);
    const run = await runClaude(stage, [], { user, env: { ANTHROPIC_API_KEY: 'sk-ant-of-the-user' } });
    await expectDone(run);
    expect(await readFile(file, 'utf8')).toBe(text);
    expect(JSON.stringify(stage.upstream.calls)).not.toContain('of-the-user');
  });

  test('the key was made for the run and is revoked behind it, and stands in no file', async () => {
    const run = await runClaude(stage, []);
    const name = run.journal[0]?.client ?? '';
    expect(name).toMatch(/^run-claude-/);
    expect(await stage.clientOf(name)).toMatchObject({ revokedAt: expect.any(Number) });
    const kept = Object.values({ ...(await treeOf(run.user.home)), ...(await treeOf(stage.home.path)) });
    expect(kept.some((content) => Buffer.from(content, 'base64').toString('latin1').includes('sk-relay-'))).toBe(false);
  });

});

describe.skipIf(claude === null)('claude code 2.1.330 with a request that is at fault', () => {
  test('is told so in the upstream\'s words', async () => {
    const stage = await startTwoAccounts();
    try {
      const fault = refuse(400, { error: { type: 'invalid_request_error', code: 'invalid_prompt', message: 'Not this prompt.', param: null } });
      // It asks again with less and less of its own before it believes that.
      const run = await runClaude(stage, Array.from({ length: 12 }, () => fault));
      expect(run.code).toBe(1);
      expect(resultOf(run)).toMatchObject({ is_error: true, api_error_status: 400, result: expect.stringContaining('Not this prompt.') });
      expect(run.journal.every(({ status, attempts }) => attempts.length === 1 && (status === 200 || status === 400))).toBe(true);
    } finally {
      await stage.close();
    }
  });
});

async function modelsOf(stage: TwoAccounts): Promise<readonly string[]> {
  const models: readonly { readonly id: string }[] = JSON.parse((await stage.home.run(['models', '--json'])).stdout);
  return models.map(({ id }) => id);
}

async function mend(stage: TwoAccounts): Promise<void> {
  for (const name of ['first', 'second']) {
    stage.upstream.mend(name);
    await stage.home.run(['keys', 'wake', name]);
  }
}

/** What Claude Code says at its end. */
function resultOf({ stdout }: ClientRun): JsonObject {
  return parseJsonObject(stdout.split('\n').findLast((line) => line.startsWith('{')) ?? '') ?? {};
}

/** The command ran once, Claude Code told its output and ended well. */
async function expectDone(run: ClientRun): Promise<void> {
  expect(run.code, `${run.stdout}\n${run.stderr}`).toBe(0);
  expect(await marks(run)).toBe('once\n');
  expect(resultOf(run)).toMatchObject({ is_error: false, subtype: 'success', num_turns: 2, result: expect.stringContaining('the tool was here') });
}

function marks({ user }: ClientRun): Promise<string> {
  return readFile(join(user.work, 'marker.txt'), 'utf8');
}
