import OpenAI, { AuthenticationError, BadRequestError, NotFoundError, RateLimitError } from 'openai';
import { zodResponseFormat } from 'openai/helpers/zod';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';

import { failed, ok, rateLimited, refuse } from '../../src/mock/steps.ts';
import type { TwoAccounts } from './two-accounts.ts';
import { MODEL, startTwoAccounts, UPSTREAM_KINDS } from './two-accounts.ts';

const PARAMETERS = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'], additionalProperties: false };
const QUESTION = 'What is the weather in Paris? Use the tool.';
const WORDS = 'one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen';
/** Every way to break off in the middle of the words; reasoning may come before them. */
const BROKEN = (['reset', 'cut', 'eof'] as const).map((how) => ({ ...ok({ text: WORDS }), break: { at: { afterDeltas: 10 }, how } }));

describe.each(UPSTREAM_KINDS)('openai 7.57 through Relay over %s', (kind) => {
  let stage: TwoAccounts;
  let client: OpenAI;
  const open = async (): Promise<void> => {
    stage = await startTwoAccounts(kind);
    client = new OpenAI({ baseURL: `${stage.relay.url}/v1`, apiKey: stage.relay.key, maxRetries: 0 });
  };

  describe('serving', () => {
    beforeAll(open);
    afterAll(() => stage.close());

    test('chat, whole and streamed, with usage', async () => {
      const messages = [{ role: 'system', content: 'Be brief.' }, { role: 'user', content: 'Say chat' }] as const;
      const whole = await client.chat.completions.create({ model: MODEL, messages: [...messages] });
      const message = { role: 'assistant', content: expect.stringContaining('Say chat') };
      expect(whole.choices[0]).toMatchObject({ finish_reason: 'stop', message });
      const stream = client.chat.completions.stream({ model: MODEL, messages: [...messages], stream_options: { include_usage: true } });
      const streamed = await stream.finalChatCompletion();
      expect(streamed.choices[0]?.message.content).toBe(whole.choices[0]?.message.content);
      expect(streamed.usage?.total_tokens).toBeGreaterThan(0);
      expect(whole.usage?.total_tokens).toBeGreaterThan(0);
    });

    test('responses, whole and streamed, with usage and a plain string as input', async () => {
      const whole = await client.responses.create({ model: MODEL, input: 'Say responses', instructions: 'Be brief.' });
      expect(whole).toMatchObject({ object: 'response', status: 'completed', output_text: expect.stringContaining('Say responses') });
      const streamed = await client.responses.stream({ model: MODEL, input: 'Say responses', instructions: 'Be brief.' }).finalResponse();
      expect(streamed.output_text).toBe(whole.output_text);
      expect(whole.usage?.total_tokens).toBeGreaterThan(0);
      expect(streamed.usage?.total_tokens).toBeGreaterThan(0);
    });

    test.each([true, false])('the tool runner of chat finishes (stream: %s)', async (stream) => {
      const asked: string[] = [];
      const tools = [{
        type: 'function', function: {
          name: 'weather', parameters: PARAMETERS, parse: JSON.parse, description: 'Tells the weather.',
          function: ({ city }: { city: string }) => { asked.push(city); return '21 degrees'; },
        },
      } as const];
      const messages: OpenAI.ChatCompletionMessageParam[] = [{ role: 'user', content: QUESTION }];
      const runner = stream
        ? client.chat.completions.runTools({ model: MODEL, messages, tools, stream })
        : client.chat.completions.runTools({ model: MODEL, messages, tools });
      expect(await runner.finalContent()).toContain('21 degrees');
      expect(asked).toHaveLength(1);
      expect(runner.messages.map(({ role }) => role)).toEqual(['user', 'assistant', 'tool', 'assistant']);
    });

    test('a tool round of responses finishes, streamed', async () => {
      const tools: OpenAI.Responses.Tool[] = [{ type: 'function', name: 'weather', parameters: PARAMETERS, strict: true }];
      const input: OpenAI.Responses.ResponseInput = [{ role: 'user', content: QUESTION }];
      const first = await client.responses.stream({ model: MODEL, input, tools }).finalResponse();
      const call = first.output.find((item) => item.type === 'function_call') ?? expect.unreachable();
      expect(JSON.parse(call.arguments)).toHaveProperty('city');
      const { parsed_arguments: _, ...made } = call;
      input.push(made, { type: 'function_call_output', call_id: call.call_id, output: '21 degrees' });
      const second = await client.responses.stream({ model: MODEL, input, tools }).finalResponse();
      expect(second.output_text).toContain('21 degrees');
    });

    test('two calls at once are told apart', async () => {
      const tools = [{ type: 'function', function: { name: 'weather', parameters: PARAMETERS } } as const];
      const messages = [{ role: 'user', content: 'The weather of both cities in parallel, please' } as const];
      const answer = await client.chat.completions.stream({ model: MODEL, messages, tools }).finalChatCompletion();
      const calls = answer.choices[0]?.message.tool_calls ?? [];
      expect(calls).toHaveLength(2);
      expect(new Set(calls.map(({ id }) => id)).size).toBe(2);
      expect(calls.every((call) => call.type === 'function' && 'city' in JSON.parse(call.function.arguments))).toBe(true);
      expect(answer.choices[0]?.finish_reason).toBe('tool_calls');
    });

    test('structured output is parsed into its type, on both endpoints', async () => {
      const Verdict = z.object({ ok: z.boolean(), why: z.string() });
      const chat = await client.chat.completions.parse({
        model: MODEL, messages: [{ role: 'user', content: 'Answer in json' }], response_format: zodResponseFormat(Verdict, 'verdict'),
      });
      expect(chat.choices[0]?.message.parsed).toMatchObject({ ok: expect.any(Boolean), why: expect.any(String) });
      const responses = await client.responses.parse({
        model: MODEL, input: 'Answer in json',
        text: { format: { type: 'json_schema', name: 'verdict', schema: z.toJSONSchema(Verdict), strict: true } },
      });
      expect(Verdict.parse(responses.output_parsed)).toHaveProperty('ok');
    });

    test('the parameters an editor sends are taken, and what could not be honoured is named', async () => {
      const { data, response } = await client.chat.completions.create({
        model: MODEL, messages: [{ role: 'user', content: 'Say parameters' }],
        temperature: 0.2, top_p: 0.9, max_tokens: 4_000, seed: 7, user: 'me', presence_penalty: 0.1, stop: ['END'], reasoning_effort: 'low',
      }).withResponse();
      expect(data.choices[0]?.message.content).toContain('Say parameters');
      const dropped = response.headers.get('x-relay-dropped');
      if (kind === 'chatgpt') expect(dropped).toContain('temperature');
      else expect(dropped ?? '').not.toContain('temperature');
    });

    test('the model list has the model, and a wrong key and model are errors of their own class', async () => {
      expect((await client.models.list()).data.map(({ id }) => id)).toContain(MODEL);
      expect(await client.models.retrieve(MODEL)).toMatchObject({ id: MODEL, object: 'model' });
      const messages = [{ role: 'user', content: 'x' }] as const;
      const { completions } = client.chat;
      await expect(completions.create({ model: 'gpt-nope', messages: [...messages] })).rejects.toBeInstanceOf(NotFoundError);
      await expect(completions.create({ model: MODEL, messages: [] })).rejects.toBeInstanceOf(BadRequestError);
      const stranger = new OpenAI({ baseURL: `${stage.relay.url}/v1`, apiKey: 'sk-relay-wrong', maxRetries: 0 });
      await expect(stranger.models.list()).rejects.toBeInstanceOf(AuthenticationError);
    });
  });

  describe('under faults', () => {
    beforeEach(open);
    afterEach(() => stage.close());
    const messages: OpenAI.ChatCompletionMessageParam[] = [{ role: 'user', content: 'Say faults' }];

    test.each([
      ['a 429', rateLimited({ retryAfter: '7' })],
      ['a 500', failed(500)],
      ['a reset before the headers', ok({ break: { at: 'before-headers', how: 'reset' } })],
      ['a clean end before any output', ok({ break: { at: 'after-headers', how: 'eof' } })],
    ])('%s at the first account is not noticed, streamed or whole', async (_what, step) => {
      stage.upstream.script('first', [step]);
      const chat = await client.chat.completions.stream({ model: MODEL, messages }).finalChatCompletion();
      expect(chat.choices[0]?.message.content).toContain('Say faults');
      await stage.home.run(['keys', 'wake', 'first']);
      stage.upstream.script('first', [step]);
      const whole = await client.responses.create({ model: MODEL, input: 'Say another conversation' });
      expect(whole.output_text).toContain('Say another conversation');
      const journal = await stage.home.journal();
      expect(journal.map(({ attempts }) => attempts.map(({ account }) => account))).toEqual([['first', 'second'], ['first', 'second']]);
    });

    test('a chat stream that breaks after its first words throws, and gives no final answer', async () => {
      for (const step of BROKEN) {
        stage.upstream.script('first', [step]);
        const stream = client.chat.completions.stream({ model: MODEL, messages: [{ role: 'user', content: `Say ${step.break.how}` }] });
        let text = '';
        stream.on('content', (delta) => (text += delta));
        await expect(stream.finalChatCompletion()).rejects.toThrow();
        expect(text).not.toBe('');
        expect(WORDS.startsWith(text) && text.length < WORDS.length).toBe(true);
        expect((await stage.home.journal()).at(-1)).toMatchObject({ outcome: 'broken_stream', attempts: [{ account: 'first' }] });
        await stage.home.run(['keys', 'wake', 'first']);
      }
    });

    test('a responses stream that breaks after its first words fails and throws, and is never completed', async () => {
      for (const step of BROKEN) {
        stage.upstream.script('first', [step]);
        const seen: string[] = [];
        const read = async (): Promise<void> => {
          const stream = await client.responses.create({ model: MODEL, input: `Say ${step.break.how}`, stream: true });
          for await (const event of stream) seen.push(event.type);
        };
        await expect(read()).rejects.toThrow();
        expect(seen).toContain('response.output_text.delta');
        expect(seen.at(-1)).toBe('response.failed');
        expect((await stage.home.journal()).at(-1)).toMatchObject({ outcome: 'broken_stream', attempts: [{ account: 'first' }] });
        await stage.home.run(['keys', 'wake', 'first']);
      }
    });

    test('a whole answer that breaks in its middle is asked of the other account', async () => {
      for (const step of BROKEN) {
        stage.upstream.script('first', [step]);
        const said = `Say ${step.break.how}`;
        const answer = await client.chat.completions.create({ model: MODEL, messages: [{ role: 'user', content: said }] });
        expect(answer.choices[0]?.message.content).toContain(said);
        expect((await stage.home.journal()).at(-1)?.attempts).toMatchObject([{ account: 'first' }, { account: 'second', error: null }]);
        await stage.home.run(['keys', 'wake', 'first']);
      }
    });

    test('with every account refusing, one clear error comes, and the SDK does not ask again', async () => {
      const insistent = new OpenAI({ baseURL: `${stage.relay.url}/v1`, apiKey: stage.relay.key });
      stage.upstream.fail('quota', { account: '*' });
      const error = await insistent.chat.completions.create({ model: MODEL, messages }).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(RateLimitError);
      if (!(error instanceof RateLimitError)) return expect.unreachable();
      expect(Number(error.headers.get('retry-after'))).toBeLessThanOrEqual(60);
      expect(error.headers.get('x-should-retry')).toBe('false');
      expect(error.requestID).toMatch(/^req_/);
      expect(await stage.home.journal()).toHaveLength(1);
    });

    test('a fault of the request comes back as the upstream said it', async () => {
      const code = 'context_length_exceeded';
      const error = { type: 'invalid_request_error', code, message: 'Your input exceeds the context window.', param: 'input' };
      stage.upstream.script('first', [refuse(400, { error })]);
      await expect(client.responses.create({ model: MODEL, input: 'Say faults' })).rejects.toMatchObject({ status: 400, code });
      expect(stage.upstream.callsOf('second').filter(({ method }) => method === 'POST')).toEqual([]);
    });
  });
});
