import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { objectAt, parseJsonObject } from '../../src/core/json.ts';
import type { MockCall, MockStep } from '../../src/mock/steps.ts';
import { cut, failed, failedEvent, ok, rateLimited, refuse, usageLimited } from '../../src/mock/steps.ts';
import { pinnedClient } from './pinned-client.ts';
import type { ClientRun, TwoAccounts, UserFolder } from './two-accounts.ts';
import { startTwoAccounts, treeOf } from './two-accounts.ts';

const codex = await pinnedClient('@openai/codex@0.169.0');

/** Classic models call functions; lite ones write JavaScript for a custom tool (Codex 0.169, observed 2026-11). */
const MODELS = [
  { kind: 'classic', model: 'gpt-5.5', shell: (cmd: string): MockCall => ({ name: 'exec_command', payload: JSON.stringify({ cmd }) }) },
  {
    kind: 'lite',
    model: 'gpt-6-sol',
    shell: (cmd: string): MockCall => ({
      kind: 'custom', name: 'exec',
      payload: `const said = await tools.exec_command({cmd: ${JSON.stringify(cmd)}}); text(said.output ?? said);`,
    }),
  },
] as const;
type Kind = (typeof MODELS)[number];
const CLASSIC = MODELS[0];
const COMMAND = 'echo once >> marker.txt && echo the tool was here';

interface RunChange {
  readonly user?: UserFolder;
  readonly args?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
}

describe.skipIf(codex === null)('codex 0.169.0 through relay run', () => {
  let stage: TwoAccounts;

  beforeEach(async () => {
    stage = await startTwoAccounts();
  });
  afterEach(() => stage.close());

  /** `codex exec` in a folder of its own; `first` answers with a tool call and then as the steps say. */
  function runCodex(kind: Kind, steps: readonly MockStep[], change: RunChange = {}): Promise<ClientRun> {
    stage.upstream.script('first', [ok({ calls: [kind.shell(COMMAND)] }), ...steps]);
    return execute(kind, change);
  }

  async function execute(kind: Kind, { user, args = [], env = {} }: RunChange = {}): Promise<ClientRun> {
    if (codex === null) throw new Error('codex is not installed');
    const unattended = ['--json', '--skip-git-repo-check', '--dangerously-bypass-approvals-and-sandbox'];
    const given = ['exec', ...unattended, '-m', kind.model, ...args, 'Leave a mark'];
    return stage.runClient('codex', given, { client: codex, user: user ?? (await stage.makeUser()), env });
  }

  test.each(MODELS)('a $kind model: the tool round stays at one account, under its turn state', async (kind) => {
    const run = await runCodex(kind, []);
    await expectDone(run);
    const model = { asked: kind.model, ran: kind.model };
    const line = { endpoint: 'responses', stream: true, account: 'first', outcome: 'ok', model, dropped: [] };
    expect(run.journal).toMatchObject([line, line]);
    expect(run.journal.every(({ attempts, tokens }) => attempts.length === 1 && tokens !== null && tokens.input > 0)).toBe(true);
    const [opening, round] = stage.upstream.callsOf('first', '/codex/responses');
    expect(opening?.headers['x-codex-turn-state']).toBeUndefined();
    expect(round?.headers['x-codex-turn-state']).toMatch(/^ts_first_/);
    expect(round?.headers['thread-id']).toBe(opening?.headers['thread-id']);
    expect(round?.headers['x-openai-internal-codex-responses-lite']).toBe(kind.kind === 'lite' ? 'true' : undefined);
  });

  test('a turn stays where it began, though a new one would go elsewhere by now', async () => {
    const nearlySpent = {
      'x-codex-primary-used-percent': '99.5', 'x-codex-primary-window-minutes': '300', 'x-codex-primary-reset-at': String(inTwoHours()),
    };
    stage.upstream.script('first', [ok({ calls: [CLASSIC.shell(COMMAND)], headers: nearlySpent }), ok({ headers: nearlySpent })]);
    const run = await execute(CLASSIC);
    await expectDone(run);
    expect(run.journal.map(({ account, route }) => [account, route?.sticky])).toEqual([['first', 'miss'], ['first', 'hit']]);
    const next = await runCodex(CLASSIC, []);
    expect(next.journal.map(({ account }) => account)).toEqual(['second', 'second']);
  });

  test.each(MODELS)('U01 a $kind model: a 429 in the tool round moves to the other account, unnoticed', async (kind) => {
    const run = await runCodex(kind, [rateLimited({ retryAfter: '30' })]);
    await expectDone(run);
    const tried = run.journal.map(({ attempts }) => attempts.map(({ account, status }) => [account, status]));
    expect(tried).toEqual([[['first', 200]], [['first', 429], ['second', 200]]]);
    expect(stage.upstream.callsOf('second', '/codex/responses').map(({ headers }) => headers['x-codex-turn-state'])).toEqual([undefined]);
    expect(run.stdout + run.stderr).not.toMatch(/reconnect|retry|limit/i);
  });

  test('a spent quota in the tool round moves to the other account, and is seen in keys list', async () => {
    const run = await runCodex(CLASSIC, [usageLimited({ resetsAt: inTwoHours(), resetsInSeconds: 7_200 })]);
    await expectDone(run);
    const refused = { account: 'first', status: 429, error: 'usage_limit_reached' };
    expect(run.journal.at(-1)?.attempts).toMatchObject([refused, { account: 'second', status: 200 }]);
    const listed: unknown = JSON.parse((await stage.home.run(['keys', 'list', '--json'])).stdout);
    expect(listed).toMatchObject([{ name: 'first', state: 'cooldown', reason: 'usage_limit_reached' }, { name: 'second', state: 'ready' }]);
  });

  test.each([
    ['U19 a 503', failed(503)],
    ['a failure in the stream before any output', failedEvent('server_error', 'The server had an error.')],
    ['a limit in the stream before any output', failedEvent('rate_limit_exceeded', 'Rate limit reached. Please try again in 20s.')],
    ['a connection closed before any output', cut('after-first-event')],
  ])('%s in the tool round is not noticed', async (_what, step) => {
    const run = await runCodex(CLASSIC, [step]);
    await expectDone(run);
    expect(run.journal).toHaveLength(2);
    const { attempts, outcome } = run.journal[1] ?? expect.unreachable();
    expect(outcome).toBe('ok');
    expect(attempts.map(({ account, error }) => [account, error === null])).toEqual([['first', false], ['second', true]]);
    expect(run.stdout + run.stderr).not.toMatch(/reconnect/i);
  });

  test.each(MODELS)('a $kind model: a stream cut after its first words is asked for again, and nothing is doubled', async (kind) => {
    const run = await runCodex(kind, [ok({ text: 'These words were lost on the way', break: { at: { afterDeltas: 2 }, how: 'cut' } })]);
    await expectDone(run);
    expect(run.journal.map(({ outcome }) => outcome)).toEqual(['ok', 'broken_stream', 'ok']);
    expect(run.stdout).not.toContain('These words');
  });

  test('a tool call is made once, though the stream is cut behind it', async () => {
    const breaks = (['reset', 'eof'] as const).map((how) => ok({ text: 'Almost there', break: { at: { afterDeltas: 1 }, how } }));
    const run = await runCodex(CLASSIC, breaks);
    await expectDone(run);
    expect(run.journal.map(({ outcome }) => outcome)).toEqual(['ok', 'broken_stream', 'broken_stream', 'ok']);
  });

  test('with every account spent Codex stops at once and says when to come back', async () => {
    const spent = usageLimited({ resetsAt: inTwoHours(), resetsInSeconds: 7_200 });
    stage.upstream.script('second', [spent]);
    const run = await runCodex(CLASSIC, [spent]);
    expect(run.code).toBe(1);
    expect(run.stdout).toMatch(/usage limit/i);
    expect(run.journal.map(({ status, outcome }) => [status, outcome])).toEqual([[200, 'ok'], [429, 'failed']]);
  });

  test('nothing is written: not a byte of the user\'s own Codex folder, nor of his home', async () => {
    const user = await stage.makeUser();
    const own = join(user.home, '.codex');
    await mkdir(own);
    await writeFile(join(own, 'config.toml'), '# mine\nmodel = "gpt-6-luna"\nmodel_provider = "openai"\n');
    await writeFile(join(own, 'auth.json'), '{"OPENAI_API_KEY":"sk-of-the-user"}');
    const before = await treeOf(user.home);
    const apart = join(user.work, '..', 'codex-home');
    await mkdir(apart);
    const run = await runCodex(CLASSIC, [], { user, env: { CODEX_HOME: apart } });
    await expectDone(run);
    expect(await treeOf(user.home)).toEqual(before);
    expect(await readdir(apart)).not.toContain('auth.json');
    expect(await readdir(apart)).not.toContain('config.toml');
  });

  test('the user\'s own settings hold, but for where Codex sends', async () => {
    const user = await stage.makeUser();
    const config = join(user.home, '.codex', 'config.toml');
    const text = [
      'model_provider = "elsewhere"', '[model_providers.elsewhere]', 'name = "Elsewhere"',
      'base_url = "http://127.0.0.1:9/v1"', 'env_key = "ELSEWHERE"', '',
    ].join('\n');
    await mkdir(join(user.home, '.codex'));
    await writeFile(config, text);
    const run = await runCodex(CLASSIC, [], { user });
    await expectDone(run);
    expect(await readFile(config, 'utf8')).toBe(text);
  });

  test('the key was made for the run and is revoked behind it, and stands in no file', async () => {
    const run = await runCodex(CLASSIC, []);
    const name = run.journal[0]?.client ?? '';
    expect(name).toMatch(/^run-codex-/);
    expect(await stage.clientOf(name)).toMatchObject({ revokedAt: expect.any(Number) });
    const files = Object.values({ ...(await treeOf(run.user.home)), ...(await treeOf(stage.home.path)) });
    expect(files.length).toBeGreaterThan(5);
    expect(files.filter((content) => Buffer.from(content, 'base64').includes('sk-relay-'))).toEqual([]);
  });

  test.each(MODELS)('a $kind model: a Codex told to stay with HTTP is served the same', async (kind) => {
    const run = await runCodex(kind, [rateLimited({ retryAfter: '30' })], { args: ['-c', 'model_providers.relay.supports_websockets=false'] });
    await expectDone(run);
    expect(run.journal.map(({ attempts }) => attempts.map(({ account, status }) => [account, status]))).toEqual([[['first', 200]], [['first', 429], ['second', 200]]]);
    expect(run.stdout + run.stderr).not.toMatch(/reconnect/i);
  });

  test('Codex\'s own failure is the exit code of relay run', async () => {
    const error = { type: 'invalid_request_error', code: 'invalid_prompt', message: 'Not this prompt.', param: null };
    stage.upstream.script('first', [refuse(400, { error })]);
    const run = await execute(CLASSIC);
    expect(run.code).toBe(1);
    expect(run.stdout).toContain('Not this prompt.');
    expect(run.journal.map(({ status }) => status)).toEqual([400]);
  });
});

/** Unix seconds. */
function inTwoHours(): number {
  return Math.floor(Date.now() / 1_000) + 7_200;
}

/** The command ran once, Codex told its output and ended well, and said its last words once. */
async function expectDone({ code, stdout, stderr, user }: ClientRun): Promise<void> {
  expect(code, `${stdout}\n${stderr}`).toBe(0);
  expect(await readFile(join(user.work, 'marker.txt'), 'utf8')).toBe('once\n');
  const events = stdout.split('\n').filter((line) => line.startsWith('{')).map((line) => parseJsonObject(line));
  const items = events.filter((event) => event?.['type'] === 'item.completed').map((event) => objectAt(event, 'item'));
  const ran = items.filter((item) => item?.['type'] === 'command_execution');
  const said = items.filter((item) => item?.['type'] === 'agent_message').map((item) => item?.['text']);
  expect(ran).toMatchObject([{ exit_code: 0, aggregated_output: 'the tool was here\n' }]);
  expect(said).toEqual([expect.stringContaining('the tool was here')]);
  expect(events.at(-1)).toMatchObject({ type: 'turn.completed' });
}
