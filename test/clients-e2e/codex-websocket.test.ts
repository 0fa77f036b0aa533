import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { arrayAt, objectAt, parseJsonObject, stringAt } from '../../src/core/json.ts';
import type { MockCall, MockStep } from '../../src/mock/steps.ts';
import { ok, rateLimited, usageLimited } from '../../src/mock/steps.ts';
import type { Wiretap } from '../support/wiretap.ts';
import { startWiretap } from '../support/wiretap.ts';
import { pinnedClient } from './pinned-client.ts';
import type { ClientRun, TwoAccounts, UserFolder } from './two-accounts.ts';
import { startTwoAccounts } from './two-accounts.ts';

const codex = await pinnedClient('@openai/codex@0.169.0');

/** Classic models call functions; lite ones write JavaScript for a custom tool (Codex 0.169, observed 2026-11). */
const MODELS = [
  { kind: 'classic', model: 'gpt-5.5', shell: (cmd: string): MockCall => ({ name: 'exec_command', payload: JSON.stringify({ cmd }) }) },
  {
    kind: 'lite',
    model: 'gpt-6-sol',
    shell: (cmd: string): MockCall => ({
      kind: 'custom',
      name: 'exec',
      payload: `const said = await tools.exec_command({cmd: ${JSON.stringify(cmd)}}); text(said.output ?? said);`,
    }),
  },
] as const;
type Kind = (typeof MODELS)[number];
const CLASSIC = MODELS[0];
const COMMAND = 'echo once >> marker.txt && echo the tool was here';

describe.skipIf(codex === null)('codex 0.169.0 over the WebSocket', () => {
  let tap: Wiretap;
  let stage: TwoAccounts;

  beforeEach(async () => {
    tap = await startWiretap();
    stage = await startTwoAccounts();
    await stage.home.run(['config', 'set', 'server.allowedHosts', JSON.stringify([tap.host])]);
    tap.aim(stage.relay.url);
  });
  afterEach(async () => {
    await stage.close();
    await tap.close();
  });

  /** `codex exec` told to try the WebSocket first, through the tap; `first` answers as the steps say. */
  async function runCodex(kind: Kind, steps: readonly MockStep[], user?: UserFolder): Promise<ClientRun> {
    if (codex === null) throw new Error('codex is not installed');
    stage.upstream.script('first', steps);
    const wiring = { 'model_providers.relay.base_url': `"http://${tap.host}/v1"`, 'model_providers.relay.supports_websockets': 'true' };
    const settings = Object.entries(wiring).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
    const unattended = ['--json', '--skip-git-repo-check', '--dangerously-bypass-approvals-and-sandbox'];
    const args = ['exec', ...settings, ...unattended, '-m', kind.model, 'Leave a mark'];
    return stage.runClient('codex', args, { client: codex, user: user ?? (await stage.makeUser()) });
  }

  async function expectDone(run: ClientRun): Promise<void> {
    expect({ code: run.code, stderr: run.stderr.match(/panic|error: /i) }, run.stdout + run.stderr).toEqual({ code: 0, stderr: null });
    expect(await readFile(join(run.user.work, 'marker.txt'), 'utf8')).toBe('once\n');
    expect(run.stdout).toContain('turn.completed');
  }

  const sockets = () => tap.requests.filter(({ isUpgrade }) => isUpgrade);
  const posts = () => tap.requests.filter(({ line }) => line.startsWith('POST'));

  test.each(MODELS)(
    'a $kind model: a whole tool loop runs on one connection, and its upstream sees what HTTP would have sent',
    async (kind) => {
      const rounds = [1, 2, 3].map((round) => ok({ calls: [kind.shell(round === 1 ? COMMAND : `echo round ${round}`)] }));
      const run = await runCodex(kind, [...rounds, ok({ text: 'All is done' })]);
      await expectDone(run);
      expect(run.stdout + run.stderr).not.toMatch(/reconnect/i);
      expect(tap.requests).toEqual([{ connection: 1, line: 'GET /v1/responses', isUpgrade: true }]);
      const line = {
        endpoint: 'responses',
        stream: true,
        account: 'first',
        outcome: 'ok',
        model: { asked: kind.model, ran: kind.model },
        dropped: [],
      };
      expect(run.journal).toMatchObject([line, line, line, line]);

      const calls = stage.upstream.callsOf('first', '/codex/responses');
      const turns = calls.map(({ headers }) => headers['x-codex-turn-state']?.startsWith('ts_first_') === true);
      expect(turns).toEqual([false, true, true, true]);
      expect(new Set(calls.map(({ headers }) => headers['thread-id'])).size).toBe(1);
      expect(calls.map(({ headers }) => headers['openai-beta'])).toEqual([undefined, undefined, undefined, undefined]);
      expect(calls.map(({ headers }) => headers['x-openai-internal-codex-responses-lite'])).toEqual(
        Array(4).fill(kind.kind === 'lite' ? 'true' : undefined),
      );
      const bodies = calls.map(({ text }) => parseJsonObject(text));
      expect(bodies.map((body) => body?.['previous_response_id'])).toEqual([undefined, undefined, undefined, undefined]);
      expect(Object.keys(objectAt(bodies[0], 'client_metadata') ?? {}).filter((key) => /^ws_|-ws-|turn-state/.test(key))).toEqual([]);
      const inputs = bodies.map((body) => (arrayAt(body, 'input') ?? []).map((item) => JSON.stringify(item)));
      // Each request begins with all of the one before: that is what the upstream's prompt cache goes by.
      for (const [round, input] of inputs.slice(1).entries()) expect(input.slice(0, inputs[round]?.length)).toEqual(inputs[round]);
      const last = (arrayAt(bodies.at(-1), 'input') ?? []).map((item) => stringAt(item, 'type'));
      expect(last.filter((type) => type?.endsWith('_call'))).toHaveLength(3);
      expect(last.filter((type) => type?.endsWith('_call_output'))).toHaveLength(3);
    },
  );

  test('the user sees the quota of the account that served', async () => {
    const run = await runCodex(CLASSIC, [
      ok({ calls: [CLASSIC.shell(COMMAND)], headers: { 'x-codex-primary-used-percent': '42.5', 'x-codex-primary-window-minutes': '300' } }),
    ]);
    await expectDone(run);
    const sessions = join(run.user.home, '.codex', 'sessions');
    const files = (await readdir(sessions, { recursive: true })).filter((name) => name.endsWith('.jsonl'));
    const written = (await Promise.all(files.map((name) => readFile(join(sessions, name), 'utf8')))).join('');
    expect(written).toContain('"used_percent":42.5');
  });

  test('U01 a 429 in the tool round moves to the other account, unnoticed and on the same connection', async () => {
    const run = await runCodex(CLASSIC, [ok({ calls: [CLASSIC.shell(COMMAND)] }), rateLimited({ retryAfter: '30' })]);
    await expectDone(run);
    expect(run.journal.map(({ attempts }) => attempts.map(({ account, status }) => [account, status]))).toEqual([
      [['first', 200]],
      [
        ['first', 429],
        ['second', 200],
      ],
    ]);
    expect(stage.upstream.callsOf('second', '/codex/responses').map(({ headers }) => headers['x-codex-turn-state'])).toEqual([undefined]);
    expect(sockets()).toHaveLength(1);
    expect(posts()).toEqual([]);
  });

  test('a stream cut after its first words is asked for again, and nothing is doubled', async () => {
    const run = await runCodex(CLASSIC, [
      ok({ calls: [CLASSIC.shell(COMMAND)] }),
      ok({ text: 'These words were lost on the way', break: { at: { afterDeltas: 2 }, how: 'cut' } }),
    ]);
    await expectDone(run);
    expect(run.journal.map(({ outcome }) => outcome)).toEqual(['ok', 'broken_stream', 'ok']);
    expect(run.stdout).not.toContain('These words');
    expect(sockets()).toHaveLength(2);
    expect(posts()).toEqual([]);
  });

  test('with every account spent Codex stops at once and says when to come back', async () => {
    const spent = usageLimited({ resetsAt: Math.floor(Date.now() / 1_000) + 7_200, resetsInSeconds: 7_200 });
    stage.upstream.script('second', [spent]);
    const run = await runCodex(CLASSIC, [spent]);
    expect(run.code).toBe(1);
    expect(run.stdout).toMatch(/usage limit/i);
    expect(run.journal.map(({ status, outcome }) => [status, outcome])).toEqual([[429, 'failed']]);
    expect(sockets()).toHaveLength(1);
  });

  test('with the WebSocket switched off Codex goes on over HTTP without a word', async () => {
    await stage.home.run(['config', 'set', 'server.websocket', 'false']);
    const run = await runCodex(CLASSIC, [ok({ calls: [CLASSIC.shell(COMMAND)] })]);
    await expectDone(run);
    expect(run.stdout).not.toMatch(/reconnect/i);
    expect(sockets()).toHaveLength(1);
    expect(posts().map(({ line }) => line)).toEqual(['POST /v1/responses', 'POST /v1/responses']);
    expect(run.journal.map(({ outcome }) => outcome)).toEqual(['ok', 'ok']);
  });
});
