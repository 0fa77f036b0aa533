import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import type { JsonObject } from '../../src/core/json.ts';
import { ok, rateLimited } from '../../src/mock/steps.ts';
import type { PinnedClient } from './pinned-client.ts';
import { pinnedClient } from './pinned-client.ts';
import type { ClientRun, RunOptions, TwoAccounts } from './two-accounts.ts';
import { MODEL, startTwoAccounts, treeOf, UPSTREAM_KINDS } from './two-accounts.ts';

const COMMAND = 'echo once >> marker.txt && echo the tool was here';
const PROMPT = 'Leave a mark';
/** Reasoning may come before them; some clients send a long prompt of their own, which the mock's reasoning repeats. */
const WORDS = 'one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen';
const BROKEN = ok({ text: WORDS, reasoning: 'Thinking.', break: { at: { afterDeltas: 8 }, how: 'eof' } });

/** A coding agent: how it is pointed at Relay, and how it names its shell. */
interface Agent {
  readonly name: string;
  readonly client: PinnedClient | null;
  /** Its shell's name and arguments. */
  readonly shell: { readonly name: string; readonly payload: JsonObject };
  /** Whether it gives up when every answer breaks; else it tries for longer than a test may last. */
  readonly givesUp: boolean;
  run(stage: TwoAccounts, options: RunOptions): Promise<ClientRun>;
}

const AGENTS: readonly Agent[] = [
  {
    name: 'opencode 1.18.33',
    client: await pinnedClient('opencode-ai@1.18.33'),
    shell: { name: 'bash', payload: { command: COMMAND, description: 'Leaves a mark' } },
    givesUp: false,
    run: (stage, options) => stage.runClient('opencode', ['run', '--title', 'Marks', '--model', `relay/${MODEL}`, PROMPT], options),
  },
  {
    name: '@continuedev/cli 1.5.47',
    client: await pinnedClient('@continuedev/cli@1.5.47'),
    shell: { name: 'Bash', payload: { command: COMMAND } },
    givesUp: false,
    async run(stage, options) {
      const config = join(options.user.home, 'config.yaml');
      const where = { apiBase: `${stage.relay.url}/v1`, apiKey: stage.relay.key };
      const model = { name: 'relay', provider: 'openai', model: MODEL, roles: ['chat'], ...where };
      // JSON is YAML too.
      await writeFile(config, JSON.stringify({ name: 'relay', version: '1.0.0', schema: 'v1', models: [model] }));
      return stage.runAlone('cn', ['--config', config, '--print', '--auto', PROMPT], options);
    },
  },
  {
    name: 'cline 3.0.65',
    client: await pinnedClient('cline@3.0.65'),
    shell: { name: 'run_commands', payload: { commands: [COMMAND] } },
    givesUp: true,
    async run(stage, options) {
      // Its session runs in its own process and not in a daemon that would stay behind.
      const alone = { ...options, env: { CLINE_SESSION_BACKEND_MODE: 'local', CLINE_NO_AUTO_UPDATE: '1' } };
      const where = ['-b', `${stage.relay.url}/v1`, '-k', stage.relay.key, '-m', MODEL];
      const auth = await stage.runAlone('cline', ['auth', '-p', 'openai', ...where], alone);
      expect(auth.code, auth.stderr).toBe(0);
      return stage.runAlone('cline', [PROMPT], alone);
    },
  },
  {
    name: '@qwen-code/qwen-code 0.24.4',
    client: await pinnedClient('@qwen-code/qwen-code@0.24.4'),
    shell: { name: 'run_shell_command', payload: { command: COMMAND, is_background: false, description: 'Leaves a mark' } },
    givesUp: true,
    run: (stage, options) => stage.runAlone('qwen', ['--auth-type', 'openai', '--yolo', '--model', MODEL, PROMPT], {
      ...options, env: { OPENAI_BASE_URL: `${stage.relay.url}/v1`, OPENAI_API_KEY: stage.relay.key },
    }),
  },
];
const INSTALLED = AGENTS.filter(({ client }) => client !== null);
const OVER = UPSTREAM_KINDS.flatMap((kind) => INSTALLED.map((agent) => ({ kind, agent, name: agent.name })));

describe('coding agents through Relay', () => {
  let stage: TwoAccounts;
  const start = async (kind: (typeof UPSTREAM_KINDS)[number]): Promise<void> => {
    stage = await startTwoAccounts(kind);
  };
  afterEach(() => stage.close());

  async function runAgent({ client, run }: Agent): Promise<ClientRun> {
    if (client === null) throw new Error('it is not installed');
    return run(stage, { client, user: await stage.makeUser() });
  }
  const toolCall = ({ shell }: Agent) => ok({ calls: [{ name: shell.name, payload: JSON.stringify(shell.payload) }] });

  test.each(OVER)('U01 $name over $kind: a tool loop finishes, with a 429 in it that it does not notice', async ({ kind, agent }) => {
    await start(kind);
    stage.upstream.script('first', [toolCall(agent), rateLimited({ retryAfter: '30' })]);
    const run = await runAgent(agent);
    await expectDone(run);
    expect(run.journal.map(({ attempts }) => attempts.map(({ account }) => account))).toEqual([['first'], ['first', 'second']]);
    expect(run.journal.every(({ outcome, tokens }) => outcome === 'ok' && tokens !== null)).toBe(true);
  });

  describe('with a stream that breaks after its first words', () => {
    beforeEach(() => start('chatgpt'));

    test.each(INSTALLED)('$name notices: it asks again and finishes, or says so', async (agent) => {
      stage.upstream.script('first', [toolCall(agent), BROKEN]);
      const run = await runAgent(agent);
      const finished = run.code === 0 && run.stdout.includes('The tool said: ') && run.journal.at(-1)?.outcome === 'ok';
      const reported = run.code !== 0 && /error/i.test(run.stdout + run.stderr);
      expect(finished || reported, `${run.code}\n${run.stdout}\n${run.stderr}`).toBe(true);
      expect(await markOf(run)).toBe('once\n');
      expect(run.journal.slice(0, 2).map(({ outcome }) => outcome)).toEqual(['ok', 'broken_stream']);
    });

    test.each(INSTALLED.filter(({ givesUp }) => givesUp))('$name reports an error when it never holds, and no success', async (agent) => {
      stage.upstream.script('first', [toolCall(agent), ...Array.from({ length: 20 }, () => BROKEN)]);
      stage.upstream.script('second', Array.from({ length: 20 }, () => BROKEN));
      const run = await runAgent(agent);
      expect(run.code, `${run.stdout}\n${run.stderr}`).not.toBe(0);
      expect(run.stdout + run.stderr).toMatch(/error/i);
      expect(run.journal.slice(1).every(({ outcome }) => outcome !== 'ok')).toBe(true);
    });
  });

  describe('relay run opencode', () => {
    beforeEach(() => start('chatgpt'));

    test.skipIf(AGENTS[0]?.client === null)('takes its settings from the environment: the user\'s own files stay as they are', async () => {
      const [opencode] = AGENTS;
      if (!opencode?.client) return expect.unreachable();
      const user = await stage.makeUser();
      const config = join(user.work, 'opencode.json');
      const text = '{"$schema":"https://opencode.ai/config.json","model":"elsewhere/model","username":"me"}';
      await writeFile(config, text);
      const run = await stage.runClient('opencode', ['run', PROMPT], { client: opencode.client, user });
      expect(run.code, run.stderr).toBe(0);
      expect(run.stdout).toContain('The tool said: relay.');
      expect(await readFile(config, 'utf8')).toBe(text);
      const written = Object.values({ ...(await treeOf(user.home)), ...(await treeOf(user.work)) });
      expect(written.length).toBeGreaterThan(0);
      expect(written.filter((content) => Buffer.from(content, 'base64').includes('sk-relay-'))).toEqual([]);
      const key = { name: expect.stringMatching(/^run-opencode-/), revokedAt: expect.any(Number) };
      expect(await stage.clientOf(run.journal[0]?.client ?? '')).toMatchObject(key);
    });
  });
});

/** The command ran once, and its output is in the agent's last words. */
async function expectDone(run: ClientRun): Promise<void> {
  expect(run.code, `${run.stdout}\n${run.stderr}`).toBe(0);
  expect(await markOf(run)).toBe('once\n');
  expect(run.stdout).toContain('The tool said: ');
  expect(run.stdout).toContain('the tool was here');
}

/** What the command left behind. */
function markOf({ user }: ClientRun): Promise<string> {
  return readFile(join(user.work, 'marker.txt'), 'utf8');
}
