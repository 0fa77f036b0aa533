import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { fakeUpstream } from '../support/fake-upstream.ts';
import type { RanCommand } from '../support/run-command.ts';
import { commandHome, runCommand } from '../support/run-command.ts';
import type { ServedRelay } from '../support/serve-in-process.ts';
import { chat, serveInProcess } from '../support/serve-in-process.ts';

/** Both ways every command works: over the files, and through a daemon that runs. */
interface Place {
  readonly run: (args: readonly string[], input?: string) => Promise<RanCommand>;
  readonly home: string;
  readonly relay: ServedRelay | null;
}
type MakePlace = () => Promise<Place & { readonly addKey: (name: string) => Promise<RanCommand> }>;

const stopped: MakePlace = async () => {
  const upstream = await fakeUpstream();
  const home = await commandHome({ providers: { openai: { kind: 'openai', baseUrl: upstream.platformBaseUrl } } });
  const run: Place['run'] = (args, input = '') => runCommand(home.path, args, { input, env: home.env });
  return {
    run,
    home: home.path,
    relay: null,
    addKey: (name) =>
      run(['keys', 'add', name, '--provider', 'openai', '--api-key-stdin', '--json'], name === 'two' ? 'sk-test-b' : 'sk-test-a'),
  };
};
const running: MakePlace = async () => {
  const relay = await serveInProcess({ accounts: [] });
  for (const apiKey of ['sk-test-a', 'sk-test-b']) relay.upstream.add({ name: apiKey, kind: 'api-key', apiKey });
  const run: Place['run'] = (args, input = '') => runCommand(relay.home, args, { input });
  return {
    run,
    home: relay.home,
    relay,
    addKey: (name) =>
      run(['keys', 'add', name, '--provider', 'openai', '--api-key-stdin', '--json'], name === 'two' ? 'sk-test-b' : 'sk-test-a'),
  };
};
const PLACES: readonly (readonly [string, MakePlace])[] = [
  ['with the daemon stopped', stopped],
  ['with the daemon running', running],
];

const ok = ({ code, stdout, stderr }: RanCommand): string => {
  expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
  return stdout;
};

describe.each(PLACES)('relay keys %s', (_what, makePlace) => {
  test('adds, lists, shows, checks, renames, pauses, wakes and removes an account', async () => {
    const { addKey, run } = await makePlace();
    expect(JSON.parse(ok(await addKey('one')))).toMatchObject({ name: 'one', provider: 'openai', state: 'ready', test: { ok: true } });
    expect(JSON.parse(ok(await run(['keys', 'list', '--json'])))).toMatchObject([
      { name: 'one', plan: null, state: 'ready', until: null, reason: null, inFlight: 0, balance: null, quota: [] },
    ]);
    expect(ok(await run(['keys', 'list']))).toMatch(/one\s.*ready/);
    expect(ok(await run(['keys', 'show', 'one']))).toContain('one');
    expect(JSON.parse(ok(await run(['keys', 'test', 'one', '--json'])))).toMatchObject({ name: 'one', ok: true });
    ok(await run(['keys', 'rename', 'one', 'first']));
    expect(JSON.parse(ok(await run(['keys', 'pause', 'first', '--json'])))).toMatchObject({ state: 'paused' });
    expect(JSON.parse(ok(await run(['keys', 'resume', 'first', '--json'])))).toMatchObject({ state: 'ready' });
    ok(await run(['keys', 'wake', 'first']));
    expect(JSON.parse(ok(await run(['keys', 'remove', 'first', '--json'])))).toEqual({ name: 'first', removed: true, revoked: false });
    expect(JSON.parse(ok(await run(['keys', 'list', '--json'])))).toEqual([]);
  });

  test('takes no key from the command line, and prints none', async () => {
    const { addKey, run, home } = await makePlace();
    const added = await addKey('one');
    const printed = [
      added,
      await run(['keys', 'list', '--json']),
      await run(['keys', 'show', 'one', '--json']),
      await run(['status', '--json']),
    ];
    expect(printed.map(({ stdout, stderr }) => stdout + stderr).join()).not.toContain('sk-test-a');
    expect(await readFile(join(home, 'state.json'), 'utf8')).not.toContain('sk-test-a');
    expect((await run(['keys', 'add', 'x', '--provider', 'openai', '--api-key', 'sk-on-argv'])).code).toBe(2);
  });

  test("a name that is taken, or is nobody's, is said", async () => {
    const { addKey, run } = await makePlace();
    ok(await addKey('one'));
    const again = await addKey('one');
    expect([again.code, again.stderr]).toEqual([1, expect.stringContaining('relay keys login one')]);
    for (const args of [
      ['show', 'nobody'],
      ['test', 'nobody'],
      ['pause', 'nobody'],
      ['remove', 'nobody'],
      ['rename', 'nobody', 'x'],
      ['wake', 'nobody'],
    ]) {
      const result = await run(['keys', ...args]);
      expect([result.code, result.stderr]).toEqual([1, expect.stringContaining('nobody')]);
    }
  });

  test('what is asked for wrongly is exit 2 and says how', async () => {
    const { run } = await makePlace();
    const wrong: readonly (readonly [readonly string[], string])[] = [
      [['keys', 'add', 'x', '--provider', 'nonsense'], 'nonsense'],
      [['keys', 'add', 'x', '--provider', 'compatible', '--wire', 'smoke', '--base-url', 'https://x.example'], '--wire'],
      [['keys', 'add', 'x', '--provider', 'compatible', '--base-url', 'http://far.example/v1', '--api-key-stdin'], 'https'],
      [['keys', 'add', 'x', '--provider', 'compatible', '--base-url', 'not a url'], '--base-url'],
      [['keys', 'add', 'x', '--provider', 'openai', '--priority', 'high', '--api-key-stdin'], '--priority'],
      [['keys', 'add', 'x', '--provider', 'openai', '--api-key-stdin'], 'stdin'],
      [['keys', 'frobnicate'], 'frobnicate'],
      [['keys', 'rename', 'only-one'], 'to'],
    ];
    for (const [args, word] of wrong) {
      const result = await run(args);
      expect({ args, code: result.code }).toEqual({ args, code: 2 });
      expect(result.stderr).toContain(word);
      expect(result.stderr).not.toMatch(/\n\s+at /);
    }
  });
});

describe.each(PLACES)('relay clients %s', (_what, makePlace) => {
  test('adds, lists, shows, sets, rotates and revokes a client', async () => {
    const { run } = await makePlace();
    const added = JSON.parse(
      ok(
        await run([
          'clients',
          'add',
          'cline',
          '--models',
          'gpt-6-*,gpt-5.5',
          '--budget',
          '20usd/month',
          '--tokens',
          '5M/day',
          '--concurrency',
          '2',
          '--rpm',
          '60',
          '--expires',
          '30d',
          '--member',
          'ada',
          '--json',
        ]),
      ),
    );
    expect(added).toMatchObject({
      name: 'cline',
      key: expect.stringMatching(/^sk-relay-/),
      id: expect.stringMatching(/^cli_/),
      scopes: ['chat', 'responses', 'embeddings', 'models'],
      models: ['gpt-6-*', 'gpt-5.5'],
      budgets: [
        { unit: 'usd', limit: 20e9, window: 'month' },
        { unit: 'tokens', limit: 5e6, window: 'day' },
      ],
      concurrency: 2,
      requestsPerMinute: 60,
      member: 'ada',
    });
    expect(ok(await run(['clients', 'list']))).toContain('cline');
    expect(ok(await run(['clients', 'show', 'cline']))).toContain('20usd/month');
    expect(JSON.parse(ok(await run(['clients', 'set', 'cline', '--models', 'all', '--concurrency', 'none', '--json'])))).toMatchObject({
      models: null,
      concurrency: null,
      member: 'ada',
    });
    const rotated = JSON.parse(ok(await run(['clients', 'rotate', 'cline', '--grace', '1h', '--json'])));
    expect(rotated.key).not.toBe(added.key);
    expect(rotated.keys).toHaveLength(2);
    ok(await run(['clients', 'revoke', 'cline']));
    expect((await run(['clients', 'rotate', 'cline'])).code).toBe(1);
    const listed = JSON.parse(ok(await run(['clients', 'list', '--json'])));
    expect(JSON.stringify(listed)).not.toContain('sk-relay-');
  });

  test('a key goes to stdout alone, so that a script can take it', async () => {
    const { run } = await makePlace();
    const added = await run(['clients', 'add', 'script']);
    expect(added.stdout).toMatch(/^sk-relay-[\w-]{43}\n$/);
    expect(added.stderr).toContain('this once');
    expect(added.stderr).not.toContain('sk-relay-');
  });

  test('what is asked for wrongly is exit 2 and says how', async () => {
    const { run } = await makePlace();
    const wrong: readonly (readonly [readonly string[], string])[] = [
      [['--budget', 'lots'], '20usd/month'],
      [['--budget', '0usd/day'], 'nothing'],
      [['--tokens', '5M'], 'budget'],
      [['--concurrency', '0'], '--concurrency'],
      [['--rpm', '-1'], '--rpm'],
      [['--expires', 'tomorrow'], '--expires'],
      [['--endpoints', 'everything'], '--endpoints'],
    ];
    for (const [args, word] of wrong) {
      const result = await run(['clients', 'add', 'x', ...args]);
      expect({ args, code: result.code }).toEqual({ args, code: 2 });
      expect(result.stderr).toContain(word);
    }
    const named = await run(['clients', 'add', 'bad name']);
    expect([named.code !== 0, named.stderr]).toEqual([true, expect.stringContaining('a name is')]);
  });
});

describe('relay config', () => {
  test('sets, reads and checks; what the user wrote stays as it is', async () => {
    const home = await commandHome();
    const file = join(home.path, 'config.json');
    await writeFile(file, '{\n  "keychain": "file",\n  "server":   { "port": 8080 }\n}\n');
    const run = (...args: readonly string[]): Promise<RanCommand> => runCommand(home.path, ['config', ...args]);
    expect(ok(await run('path'))).toBe(`${file}\n`);
    expect(ok(await run('check'))).toBe('valid\n');
    expect(ok(await run('get', 'server.port'))).toBe('8080\n');
    expect(ok(await run('get', 'timeouts.connectMs'))).toBe('5000\n');
    ok(await run('set', 'models.aliases.fast', 'gpt-6-luna'));
    ok(await run('set', 'server.port', '9090'));
    const text = await readFile(file, 'utf8');
    expect(text).toContain('"server":   { "port": 9090 }');
    expect(JSON.parse(text)).toEqual({ keychain: 'file', server: { port: 9090 }, models: { aliases: { fast: 'gpt-6-luna' } } });
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(JSON.parse(ok(await run('schema')))).toMatchObject({ type: 'object', properties: { server: expect.anything() } });
  });

  test('refuses what does not fit, and leaves the file', async () => {
    const home = await commandHome();
    const before = await readFile(join(home.path, 'config.json'), 'utf8');
    const run = (...args: readonly string[]): Promise<RanCommand> => runCommand(home.path, ['config', ...args]);
    for (const [args, code, word] of [
      [['set', 'server.port', 'many'], 2, 'server.port'],
      [['set', 'server.prot', '1'], 2, 'no such setting'],
      [['set', 'providers.x', '{"kind":"openai","baseUrl":"http://far.example"}'], 2, 'https'],
      [['get', 'server.nothing'], 1, 'server.nothing'],
      [['set', '', '1'], 2, 'path of a setting'],
      [['get'], 2, 'key'],
    ] as const) {
      const result = await run(...args);
      expect({ args, code: result.code }).toEqual({ args, code });
      expect(result.stderr).toContain(word);
    }
    expect(await readFile(join(home.path, 'config.json'), 'utf8')).toBe(before);
  });

  test('every command says where settings are not valid, with 78', async () => {
    const home = await commandHome();
    await writeFile(join(home.path, 'config.json'), '{\n  "keychain": "paper"\n}');
    for (const args of [['config', 'check'], ['keys', 'list'], ['clients', 'list'], ['status'], ['start', '--port', '0'], ['models']]) {
      const result = await runCommand(home.path, args);
      expect({ args, code: result.code }).toEqual({ args, code: 78 });
      expect(result.stderr).toContain('config.json:2:3 keychain');
    }
  });

  test('a running Relay takes a setting over', async () => {
    const relay = await serveInProcess({ accounts: [{ name: 'a', kind: 'chatgpt' }] });
    ok(await runCommand(relay.home, ['config', 'set', 'models.aliases.quick', 'gpt-5.5']));
    await relay.daemon.reload();
    expect((await relay.ask('/v1/chat/completions', { body: chat('Say hi', { model: 'quick' }) })).status).toBe(200);
  });
});

describe('relay status, stop and models', () => {
  test('with nothing running they say so and exit 0', async () => {
    const home = await commandHome();
    expect(ok(await runCommand(home.path, ['status'], { env: home.env }))).toContain('stopped');
    const stop = await runCommand(home.path, ['stop']);
    expect([stop.code, stop.stderr]).toEqual([0, 'Relay is not running\n']);
    expect(ok(await runCommand(home.path, ['models', '--json']))).toBe('[]\n');
  });

  test('with one running they show it', async () => {
    const relay = await serveInProcess();
    const status = JSON.parse(ok(await runCommand(relay.home, ['status', '--json'])));
    expect(status).toMatchObject({
      gateway: { state: 'running', url: relay.url, version: expect.any(String), rssMb: expect.any(Number), uptimeMs: expect.any(Number) },
      ledger: { state: 'operational', head: expect.any(String), seq: expect.any(Number) },
      keychain: { state: 'ready', backend: 'memory' },
      providers: [{ name: 'chatgpt', state: 'operational' }],
      accounts: [{ name: 'a' }, { name: 'b' }],
    });
    expect(ok(await runCommand(relay.home, ['status']))).toContain(relay.url);
    expect(JSON.parse(ok(await runCommand(relay.home, ['models', '--json'])))).toContainEqual(
      expect.objectContaining({ id: 'gpt-5.5', accounts: ['a', 'b'] }),
    );
  });

  test('a port that is none is exit 2', async () => {
    const home = await commandHome();
    for (const port of ['many', '70000', '-1', '1.5'])
      expect((await runCommand(home.path, ['start', `--port=${port}`])).code, port).toBe(2);
  });

  test('an unknown command, and a missing argument, are exit 2; help and version are 0', async () => {
    const home = await commandHome();
    expect((await runCommand(home.path, ['frobnicate'])).code).toBe(2);
    expect((await runCommand(home.path, ['clients', 'add'])).code).toBe(2);
    expect((await runCommand(home.path, ['--version'])).stdout).toMatch(/^\d+\.\d+\.\d+/);
    for (const args of [[], ['keys'], ['keys', 'add'], ['clients'], ['clients', 'add'], ['start'], ['status'], ['config', 'set']]) {
      const help = await runCommand(home.path, [...args, '--help']);
      expect({ args, code: help.code }).toEqual({ args, code: 0 });
      expect(help.stdout).toContain('Usage: relay');
    }
  });
});

describe('a keychain that is not there', () => {
  test('K01 a vault without its key says what to set, with 78, and nothing is written in the clear', async () => {
    const home = await commandHome();
    const result = await runCommand(home.path, ['keys', 'add', 'x', '--provider', 'openai', '--api-key-stdin', '--no-verify'], {
      input: 'sk-secret-of-mine',
    });
    expect(result.code).toBe(78);
    expect(result.stderr).toMatch(/RELAY_VAULT_(PASSPHRASE|KEYFILE)/);
    expect(result.stderr + result.stdout).not.toContain('sk-secret-of-mine');
    expect(JSON.parse((await runCommand(home.path, ['keys', 'list', '--json'])).stdout)).toEqual([]);
  });
});
