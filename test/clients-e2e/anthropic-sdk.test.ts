import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';

import type { JsonObject } from '../../src/core/json.ts';
import { failed, ok, rateLimited, usageLimited } from '../../src/mock/steps.ts';
import { pinnedClient } from './pinned-client.ts';
import { runProgram } from './run-program.ts';
import type { TwoAccounts } from './two-accounts.ts';
import { MODEL, startTwoAccounts, UPSTREAM_KINDS } from './two-accounts.ts';

const sdk = await pinnedClient('@anthropic-ai/sdk@1.12.0');

/** What streams are made of, pings aside. */
const ORDER = ['message_start', 'content_block_start', 'content_block_delta', 'content_block_stop', 'message_delta', 'message_stop'];

describe.skipIf(sdk === null).each(UPSTREAM_KINDS)('@anthropic-ai/sdk 1.12.0 through Relay over %s', (kind) => {
  let stage: TwoAccounts;
  beforeAll(async () => {
    stage = await startTwoAccounts(kind);
  });
  afterEach(async () => {
    for (const name of ['first', 'second']) {
      stage.upstream.mend(name);
      await stage.home.run(['keys', 'wake', name]);
    }
  });
  afterAll(() => stage?.close());

  function run(task: string, prompt: string, env: Readonly<Record<string, string>> = {}): Promise<JsonObject> {
    if (sdk === null) throw new Error('it is not installed');
    return runProgram('anthropic-sdk.mjs', { client: sdk, args: [task, prompt], env: { ANTHROPIC_BASE_URL: stage.relay.url, ANTHROPIC_API_KEY: stage.relay.key, MODEL, ...env } });
  }

  test('whole and streamed, with the id of the request', async () => {
    expect(await run('whole', 'Say whole')).toMatchObject({
      text: expect.stringContaining('Say whole'), stop: 'end_turn', requestId: expect.stringMatching(/^req_/), usage: { input_tokens: expect.any(Number) },
    });
    const told = await run('stream', 'Say streamed');
    expect(told).toMatchObject({ text: expect.stringContaining('Say streamed'), stop: 'end_turn', requestId: expect.stringMatching(/^req_/) });
    expect(told['whole']).toBe(told['text']);
    expect([...new Set(told['types'] as string[])]).toEqual(ORDER);
  });

  test('a tool loop finishes', async () => {
    expect(await run('tools', 'What is the weather in Paris? Use the tool.')).toMatchObject({ text: expect.stringContaining('21 degrees'), asked: [expect.any(String)], steps: 2 });
  });

  test('an answer is cut at a stop sequence', async () => {
    stage.upstream.script('first', [ok({ text: 'one two END three' })]);
    expect(await run('stop', 'Count')).toEqual({ text: 'one two ', stop: 'stop_sequence', sequence: 'END' });
  });

  test('an object of the schema comes back', async () => {
    expect(await run('object', 'Answer in json')).toEqual({ object: { ok: expect.any(Boolean) } });
  });

  test('tokens are counted, models listed page by page', async () => {
    expect(await run('count', 'How many are these?')).toEqual({ input_tokens: expect.any(Number) });
    const told = await run('models', '');
    expect(told['ids']).toContain(MODEL);
    expect(told['one']).toMatchObject({ type: 'model', id: (told['ids'] as string[])[0] });
  });

  test('U03 a 429 before any output is not noticed', async () => {
    stage.upstream.script('first', [rateLimited({ retryAfter: '30' })]);
    expect(await run('stream', 'Say failover')).toMatchObject({ text: expect.stringContaining('Say failover') });
    expect((await stage.home.journal()).at(-1)?.attempts).toMatchObject([{ account: 'first', status: 429 }, { account: 'second', status: 200 }]);
  });

  test.each(['eof', 'reset'] as const)('a stream that ends by %s after its first words is an error, never a shortened success', async (how) => {
    stage.upstream.script('first', [ok({ text: 'one two three four five six', break: { at: { afterDeltas: 3 }, how } })]);
    const told = await run('stream', 'Say broken');
    expect(told).toMatchObject({ text: expect.stringMatching(/^one/), error: expect.any(String) });
    expect(told).not.toHaveProperty('whole');
  });

  test('the SDK knows each refusal for what it is', async () => {
    expect(await run('whole', 'x', { ANTHROPIC_API_KEY: 'sk-relay-nobody' })).toMatchObject({ name: 'AuthenticationError', status: 401, type: 'authentication_error' });
    expect(await run('whole', 'x', { MODEL: 'claude-nobody' })).toMatchObject({ name: 'NotFoundError', status: 404, type: 'not_found_error', requestId: expect.stringMatching(/^req_/) });
    stage.upstream.script('first', [failed(400, 'invalid_prompt', 'Not this prompt.')]);
    expect(await run('whole', 'x')).toMatchObject({ name: 'BadRequestError', status: 400, error: expect.stringContaining('Not this prompt.') });
  });

  test('with every account spent it does not try again', async () => {
    const spent = usageLimited({ resetsAt: Math.floor(Date.now() / 1_000) + 7_200, resetsInSeconds: 7_200 });
    for (const name of ['first', 'second']) stage.upstream.script(name, [spent]);
    const before = (await stage.home.journal()).length;
    expect(await run('whole', 'x', { MAX_RETRIES: '3' })).toMatchObject({ name: 'RateLimitError', status: 429, type: 'rate_limit_error' });
    expect((await stage.home.journal()).length).toBe(before + 1);
  });
});

describe.skipIf(sdk === null)('thinking through Anthropic\'s SDK', () => {
  test('is a block with a signature in front of the words', async () => {
    if (sdk === null) throw new Error('it is not installed');
    const stage = await startTwoAccounts('chatgpt');
    try {
      const env = { ANTHROPIC_BASE_URL: stage.relay.url, ANTHROPIC_API_KEY: stage.relay.key, MODEL };
      expect(await runProgram('anthropic-sdk.mjs', { client: sdk, args: ['thinking', 'Think'], env })).toMatchObject({
        blocks: [{ type: 'thinking', thinking: expect.stringMatching(/\w/), signature: expect.stringMatching(/^relay-thought1\./) }, { type: 'text' }],
      });
    } finally {
      await stage.close();
    }
  });
});
