import { describe, expect, test } from 'vitest';

import { launchClaude } from '../../src/clients/claude.ts';
import type { LaunchModel } from '../../src/clients/launch.ts';

const model = (id: string, providers: readonly string[] = ['chatgpt'], contextTokens: number | null = null): LaunchModel => ({ id, providers, contextTokens, efforts: [] });
const SIGN_IN = [model('gpt-6-sol', ['chatgpt'], 272_000), model('gpt-6-luna'), model('gpt-6-terra')];
const launch = (models: readonly LaunchModel[], env: Record<string, string> = {}, args: readonly string[] = []): ReturnType<typeof launchClaude> =>
  launchClaude({ url: 'http://127.0.0.1:7352', key: 'sk-relay-test', args, models, env });

describe('Claude Code through relay run', () => {
  test('is pointed at Relay by its environment, with the key nowhere else', () => {
    const { command, args, env } = launch(SIGN_IN, {}, ['-p', 'Hello']);
    expect([command, args]).toEqual(['claude', ['-p', 'Hello']]);
    expect(env).toMatchObject({ ANTHROPIC_BASE_URL: 'http://127.0.0.1:7352', ANTHROPIC_AUTH_TOKEN: 'sk-relay-test', CLAUDE_CODE_PROVIDER_MANAGED_BY_HOST: '1' });
  });

  test('no other way in is left open beside it', () => {
    const { env } = launch(SIGN_IN, { ANTHROPIC_API_KEY: 'sk-of-the-user', CLAUDE_CODE_USE_BEDROCK: '1' });
    expect(env).toMatchObject({ ANTHROPIC_API_KEY: '', CLAUDE_CODE_OAUTH_TOKEN: '', CLAUDE_CODE_USE_BEDROCK: '', CLAUDE_CODE_USE_VERTEX: '', CLAUDE_CODE_USE_FOUNDRY: '' });
  });

  test.each<[string, readonly LaunchModel[], Record<string, string>, readonly (string | undefined)[]]>([
    ['the first of the sign-in for work, its small one for small tasks', SIGN_IN, {}, ['gpt-6-sol', 'gpt-6-sol', 'gpt-6-luna']],
    ['a sign-in\'s before a key\'s', [model('gpt-4.1-mini', ['openai']), ...SIGN_IN], {}, ['gpt-6-sol', 'gpt-6-sol', 'gpt-6-luna']],
    ['one model for all, where there is only one', [model('qwen', ['ollama'])], {}, ['qwen', 'qwen', 'qwen']],
    ['no small model of another provider\'s', [model('gpt-6-sol'), model('gpt-4.1-mini', ['openai'])], {}, ['gpt-6-sol', 'gpt-6-sol', 'gpt-6-sol']],
    ['the user\'s aliases of Claude\'s own names', [...SIGN_IN, model('claude-opus-4-8', []), model('claude-haiku-4-5', [])], {}, ['claude-opus-4-8', 'claude-opus-4-8', 'claude-haiku-4-5']],
    ['a served model the user named', SIGN_IN, { ANTHROPIC_MODEL: 'gpt-6-terra', ANTHROPIC_DEFAULT_HAIKU_MODEL: 'gpt-6-terra' }, ['gpt-6-terra', 'gpt-6-sol', 'gpt-6-terra']],
    ['never one that nobody serves', SIGN_IN, { ANTHROPIC_MODEL: 'claude-opus-4-8' }, ['gpt-6-sol', 'gpt-6-sol', 'gpt-6-luna']],
    ['nothing, where nothing is served', [], {}, [undefined, undefined, undefined]],
  ])('models: %s', (_claim, models, own, named) => {
    const { env } = launch(models, own);
    expect([env['ANTHROPIC_MODEL'], env['ANTHROPIC_DEFAULT_OPUS_MODEL'], env['ANTHROPIC_DEFAULT_HAIKU_MODEL']]).toEqual(named);
    expect(env['ANTHROPIC_SMALL_FAST_MODEL']).toBe(named[2]);
  });

  test('a model\'s size is told where it is known, since Claude Code would take it for a million tokens', () => {
    expect(launch(SIGN_IN).env['CLAUDE_CODE_AUTO_COMPACT_WINDOW']).toBe('272000');
    expect(launch([model('qwen')]).env).not.toHaveProperty('CLAUDE_CODE_AUTO_COMPACT_WINDOW');
  });
});
