import { describe, expect, test } from 'vitest';

import { launchCodex } from '../../src/clients/codex.ts';
import type { Launch, LaunchModel, LaunchRequest } from '../../src/clients/launch.ts';
import { preferredModel } from '../../src/clients/launch.ts';
import { launchOpencode } from '../../src/clients/opencode.ts';
import { CommandError } from '../../src/core/errors.ts';

const model = (id: string, ...providers: readonly string[]): LaunchModel => ({ id, providers, contextTokens: null, efforts: [] });
const LOCAL = model('llama', 'ollama');
const API = model('gpt-6-mini', 'openai');
const CHATGPT = model('gpt-6-sol', 'chatgpt');

function request(change: Partial<LaunchRequest> = {}): LaunchRequest {
  return { url: 'http://127.0.0.1:7352', key: 'sk-relay-secret', args: [], models: [CHATGPT], env: {}, ...change };
}

describe('the model to name', () => {
  test.each<[string, readonly LaunchModel[], string | null]>([
    ['is one of ChatGPT\'s, whatever stands before it', [LOCAL, API, CHATGPT], 'gpt-6-sol'],
    ['else one of the OpenAI API', [LOCAL, API], 'gpt-6-mini'],
    ['else the first', [LOCAL, model('other', 'vllm')], 'llama'],
    ['is none where nothing is served', [], null],
  ])('%s', (_what, models, id) => {
    expect(preferredModel(models)?.id ?? null).toBe(id);
  });
});

describe('every client', () => {
  const launches = [['codex', launchCodex], ['opencode', launchOpencode]] as const;
  test.each(launches)('%s: the key is in the environment and in no argument', (_name, launch) => {
    const { args, env } = launch(request({ args: ['exec', 'hello'] }));
    expect(args.join(' ')).not.toContain('sk-relay-secret');
    expect(Object.values(env)).toContain('sk-relay-secret');
    expect(args.slice(-2)).toEqual(['exec', 'hello']);
  });
});

describe('codex', () => {
  const settingsOf = ({ args }: Launch): readonly string[] => args.filter((_, index) => args[index - 1] === '-c');

  test('is given a provider of its own, and its own default model is left alone', () => {
    expect(settingsOf(launchCodex(request()))).toEqual([
      'model_provider="relay"', 'model_providers.relay.name="Relay"', 'model_providers.relay.base_url="http://127.0.0.1:7352/v1"',
      'model_providers.relay.env_key="RELAY_KEY"', 'model_providers.relay.wire_api="responses"',
      'model_providers.relay.supports_websockets=true',
    ]);
  });

  test('is named a model where no ChatGPT account serves', () => {
    expect(settingsOf(launchCodex(request({ models: [LOCAL, API] })))).toContain('model="gpt-6-mini"');
  });

  test.each([
    [['-m', 'llama']], [['-mllama']], [['-m=llama']], [['--model', 'llama']], [['--model=llama']], [['exec', '--model', 'llama', 'hello']],
    [['-c', 'model="llama"']], [['-cmodel="llama"']], [['--config', 'model = "llama"']], [['--config=model="llama"']],
  ])('is named none where the user names one: %j', (args) => {
    expect(settingsOf(launchCodex(request({ models: [API], args })))).not.toContain('model="gpt-6-mini"');
  });

  test.each([[['-c', 'model_provider="x"']], [['--model-of-thought']], [['exec', 'what is a model=y']]])('is not misled by %j', (args) => {
    expect(settingsOf(launchCodex(request({ models: [API], args })))).toContain('model="gpt-6-mini"');
  });
});

describe('opencode', () => {
  const settingsOf = ({ env }: Launch): unknown => JSON.parse(env['OPENCODE_CONFIG_CONTENT'] ?? '');

  test('is told every model, its limits and the wire of its provider, and where the key is', () => {
    const models = [{ ...CHATGPT, contextTokens: 272_000, efforts: ['low', 'high'] }, LOCAL];
    expect(settingsOf(launchOpencode(request({ models })))).toEqual({
      model: 'relay/gpt-6-sol',
      small_model: 'relay/gpt-6-sol',
      provider: {
        relay: {
          npm: '@ai-sdk/openai-compatible', name: 'Relay', options: { baseURL: 'http://127.0.0.1:7352/v1', apiKey: '{env:RELAY_KEY}' },
          models: {
            'gpt-6-sol': {
              name: 'gpt-6-sol', tool_call: true, reasoning: true, provider: { npm: '@ai-sdk/openai' },
              limit: { context: 272_000, output: 32_000 },
            },
            llama: { name: 'llama', tool_call: true, reasoning: false },
          },
        },
      },
    });
  });

  test('a small context leaves room for the answer within it', () => {
    const settings = settingsOf(launchOpencode(request({ models: [{ ...LOCAL, contextTokens: 8_192 }] })));
    expect(settings).toHaveProperty('provider.relay.models.llama.limit', { context: 8_192, output: 4_096 });
  });

  test('keeps what the user hands over in the same variable, but for its own', () => {
    const own = { theme: 'dark', model: 'mine/x', provider: { mine: { name: 'Mine' }, relay: { name: 'Older' } } };
    const settings = settingsOf(launchOpencode(request({ env: { OPENCODE_CONFIG_CONTENT: JSON.stringify(own) } })));
    const provider = { mine: { name: 'Mine' }, relay: { name: 'Relay' } };
    expect(settings).toMatchObject({ theme: 'dark', model: 'relay/gpt-6-sol', provider });
  });

  test.each(['', 'not json', '[1]'])('is not put off by %j there', (text) => {
    expect(settingsOf(launchOpencode(request({ env: { OPENCODE_CONFIG_CONTENT: text } })))).toMatchObject({ model: 'relay/gpt-6-sol' });
  });

  test('says what to do where there is no model to name', () => {
    expect(() => launchOpencode(request({ models: [] }))).toThrow(CommandError);
  });
});
