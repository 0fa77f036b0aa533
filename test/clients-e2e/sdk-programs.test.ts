import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import type { JsonObject } from '../../src/core/json.ts';
import { ok, rateLimited } from '../../src/mock/steps.ts';
import { pinnedClient } from './pinned-client.ts';
import { runProgram } from './run-program.ts';
import type { TwoAccounts } from './two-accounts.ts';
import { MODEL, startTwoAccounts, UPSTREAM_KINDS } from './two-accounts.ts';

const WORDS = 'one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen';
const LIBRARIES = [
  {
    name: 'ai 7.0.173', program: 'ai-sdk.mjs', endpoints: ['responses', 'chat', 'compatible'],
    client: await pinnedClient('ai@7.0.173', '@ai-sdk/openai@4.0.118', '@ai-sdk/openai-compatible@3.0.92'),
  },
  {
    name: '@langchain/openai 1.6.0', program: 'langchain.mjs', endpoints: ['responses', 'chat'],
    client: await pinnedClient('@langchain/openai@1.6.0'),
  },
] as const;
const CASES = LIBRARIES.flatMap((library) => library.endpoints.map((endpoint) => ({ ...library, endpoint })));
type Case = (typeof CASES)[number];

const INSTALLED = CASES.filter(({ client }) => client !== null);
const WEATHER = 'What is the weather in Paris? Use the tool.';

function run(stage: TwoAccounts, { client, program, endpoint }: Case, task: string, prompt: string): Promise<JsonObject> {
  if (client === null) throw new Error('it is not installed');
  const env = { OPENAI_BASE_URL: `${stage.relay.url}/v1`, OPENAI_API_KEY: stage.relay.key, MODEL };
  return runProgram(program, { client, args: [endpoint, task, prompt], env });
}

describe.each(UPSTREAM_KINDS)('libraries through Relay over %s', (kind) => {
  let stage: TwoAccounts;
  beforeAll(async () => {
    stage = await startTwoAccounts(kind);
  });
  afterAll(() => stage.close());

  test.each(INSTALLED)('$name, $endpoint: whole and streamed', async (library) => {
    const whole = await run(stage, library, 'whole', 'Say whole');
    expect(whole).toMatchObject({ text: expect.stringContaining('Say whole'), tokens: expect.any(Number) });
    const streamed = await run(stage, library, 'stream', 'Say streamed');
    expect(streamed).toMatchObject({ text: expect.stringContaining('Say streamed'), errors: [], tokens: expect.any(Number) });
  });

  test.each(INSTALLED)('$name, $endpoint: a tool loop finishes', async (library) => {
    const told = await run(stage, library, 'tools', WEATHER);
    const wanted = { text: expect.stringContaining('21 degrees'), steps: 2, asked: [expect.any(String)] };
    expect(told, JSON.stringify(told)).toMatchObject(wanted);
  });

  test.each(INSTALLED)('$name, $endpoint: an object of the schema comes back', async (library) => {
    expect(await run(stage, library, 'object', 'Answer in json')).toEqual({ object: { ok: expect.any(Boolean), why: expect.any(String) } });
  });
});

describe.each(UPSTREAM_KINDS)('libraries through Relay over %s with an account failing', (kind) => {
  let stage: TwoAccounts;
  beforeEach(async () => {
    stage = await startTwoAccounts(kind);
  });
  afterEach(() => stage.close());

  test.each(INSTALLED)('$name, $endpoint: U01 unnoticed before the first words, an error after them and when all are spent', async (library) => {
    stage.upstream.script('first', [ok(), rateLimited({ retryAfter: '9' })]);
    const served = await run(stage, library, 'tools', WEATHER);
    const wanted = { text: expect.stringContaining('21 degrees'), asked: [expect.any(String)] };
    expect(served, JSON.stringify(served)).toMatchObject(wanted);
    const journal = await stage.home.journal();
    expect(journal.map(({ attempts }) => attempts.map(({ account }) => account))).toEqual([['first'], ['first', 'second']]);

    for (const how of ['reset', 'cut', 'eof'] as const) {
      await stage.home.run(['keys', 'wake', 'first']);
      stage.upstream.script('first', [ok({ text: WORDS, break: { at: { afterDeltas: 10 }, how } })]);
      const broken = await run(stage, library, 'stream', `Say ${how}`);
      expect(broken, how).toMatchObject({ errors: expect.arrayContaining([expect.stringMatching(/Account 'first'|terminated/)]) });
      expect(broken).not.toHaveProperty('finishReason');
      expect(broken['text']).not.toBe('');
      expect(WORDS.startsWith(String(broken['text']))).toBe(true);
      expect((await stage.home.journal()).at(-1)?.outcome).toBe('broken_stream');
    }

    const before = (await stage.home.journal()).length;
    stage.upstream.fail('quota', { account: '*' });
    expect(await run(stage, library, 'whole', 'Say spent')).toMatchObject({ errors: [expect.stringMatching(/limit/i)], status: 429 });
    expect((await stage.home.journal()).slice(before).map(({ status }) => status)).toEqual([429]);
  });
});
