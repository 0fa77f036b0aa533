import { readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import * as fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';

import { configJsonSchema, DEFAULT_CONFIG } from '../../src/core/config.ts';
import type { Config } from '../../src/core/config.ts';
import {
  describeFaults, getConfigValue, loadConfig, parseConfigPath, readConfigArgument, readConfigText, setConfigValue,
} from '../../src/storage/config-file.ts';
import { watchConfig } from '../../src/storage/config-watch.ts';
import { JsonSyntaxError, parseJsonNode } from '../../src/storage/json-position.ts';
import { fakeClock } from '../support/fake-clock.ts';
import { waitFor } from '../support/wait-for.ts';
import { freshHome, keptLog, removeHomes } from './journal-fixture.ts';

afterAll(removeHomes);

const GOOD = `{
  "$schema": "./config.schema.json",
  "server": { "port": 7400,
              "maxBodyMb": 8 },
  "models": {
    "aliases": { "fast": "gpt-6-luna" }
  }
}
`;

async function homeWith(text: string): Promise<string> {
  const home = await freshHome();
  await writeFile(join(home, 'config.json'), text);
  return home;
}

describe('reading', () => {
  test('an absent file is every default', async () => {
    expect(await loadConfig(await freshHome())).toEqual(DEFAULT_CONFIG);
  });

  test('what is written counts, the rest is default, $schema is kept', async () => {
    const config = await loadConfig(await homeWith(GOOD));
    expect(config).toEqual({
      ...DEFAULT_CONFIG, $schema: './config.schema.json', server: { ...DEFAULT_CONFIG.server, port: 7400, maxBodyMb: 8 },
      models: { ...DEFAULT_CONFIG.models, aliases: { fast: 'gpt-6-luna' } },
    });
  });

  test.each([
    ['', 1, 1, 'the file ends here'],
    ['{\n  "server": {\n    "port": 7400,\n  }\n}', 4, 3, 'no comma may stand before "}"'],
    ['{\n  // hello\n}', 2, 3, 'JSON has no comments'],
    ['{ "strict": True }', 1, 13, 'expected a value, found "T"'],
    ["{ 'strict': true }", 1, 3, 'expected a key in double quotes'],
    ['{ "strict" true }', 1, 12, 'expected ":"'],
    ['{ "strict": true } x', 1, 20, 'nothing may follow'],
    ['{ "strict": true,\n  "strict": false }', 2, 3, '"strict" is given twice'],
    ['{ "strict": "a\nb" }', 1, 13, 'this text has a line break'],
    ['{ "a\\x": 1 }', 1, 3, 'wrong escape'],
    ['{ "strict": "open }', 1, 13, 'expected a value'],
    [`${'['.repeat(1_000)}`, 1, 202, 'nested too deeply'],
    ['{\n  "server": {\n    "port": "x"\n  }\n}', 3, 5, 'server.port: '],
    ['{\n  "server": {\n    "prot": 1\n  }\n}', 3, 5, 'server.prot: there is no such setting'],
    ['{\n\n    "sever": {} }', 3, 5, 'sever: there is no such setting'],
    ['{ "server": { "allowedHosts": ["a", 7] } }', 1, 37, 'server.allowedHosts.1: '],
    ['{ "providers": { "my.box": { "kind": "vllm", "baseUrl": "http://10.0.0.1/v1" } } }', 1, 46, 'providers."my.box".baseUrl: plain http'],
    ['[]', 1, 1, ''],
  ])('S06: %j is refused at its place with 78, and left as it is', async (text, line, column, message) => {
    const home = await homeWith(text);
    const failure: unknown = await loadConfig(home).catch((error: unknown) => error);
    expect(failure).toMatchObject({ exitCode: 78, message: expect.stringContaining(`config.json:${line}:${column} `) });
    expect(failure).toMatchObject({ message: expect.stringContaining(message) });
    expect(await readFile(join(home, 'config.json'), 'utf8')).toBe(text);
  });

  test('every fault is named, one a line', () => {
    const reading = readConfigText('{\n "strict": 1,\n "keychain": "x"\n}');
    const lines = reading.ok ? [] : describeFaults('/h', reading.faults).split('\n');
    expect(lines.map((line) => line.split(' ')[0])).toEqual(['/h/config.json:2:2', '/h/config.json:3:2']);
  });

  test('agrees with JSON.parse on every JSON text, and on every broken one', () => {
    fc.assert(fc.property(fc.json(), fc.nat(), fc.string({ maxLength: 2 }), (text, at, insert) => {
      expect(JSON.stringify(parseJsonNode(text).value)).toBe(JSON.stringify(JSON.parse(text)));
      const index = at % (text.length + 1);
      const broken = text.slice(0, index) + insert + text.slice(index + 1);
      const ours = attempt(() => parseJsonNode(broken).value);
      const theirs = attempt(() => JSON.parse(broken) as unknown);
      if (ours.ok) expect(JSON.stringify(ours)).toBe(JSON.stringify(theirs));
      // A key given twice is the one thing that is refused beyond JSON.
      else if (theirs.ok) expect(ours.error).toMatchObject({ message: expect.stringContaining('given twice') });
    }), { numRuns: 1_000 });
  });
});

function attempt(read: () => unknown): { ok: true; value: unknown } | { ok: false; error: unknown } {
  try {
    return { ok: true, value: read() };
  } catch (error) {
    if (!(error instanceof JsonSyntaxError) && !(error instanceof SyntaxError)) throw error;
    return { ok: false, error };
  }
}

describe('setting one value', () => {
  test.each<[string, string, unknown, string]>([
    ['replaces a value and nothing else', 'server.port', 7500, GOOD.replace('7400', '7500')],
    ['inserts beside others', 'server.websocket', false, GOOD.replace('"maxBodyMb": 8 }', '"maxBodyMb": 8,\n    "websocket": false }')],
    ['makes the objects in between', 'retry.maxAttempts', 2,
      GOOD.replace('  }\n}\n', '  },\n  "retry": {\n    "maxAttempts": 2\n  }\n}\n')],
    ['takes quoted parts', 'models.aliases."gpt-6.1"', 'gpt-6-sol',
      GOOD.replace('"gpt-6-luna" }', '"gpt-6-luna",\n      "gpt-6.1": "gpt-6-sol" }')],
  ])('%s', async (_, path, value, expected) => {
    const home = await homeWith(GOOD);
    const config = await setConfigValue(home, path, value as never);
    expect(await readFile(join(home, 'config.json'), 'utf8')).toBe(expected);
    expect(getConfigValue(config, path)).toBe(value);
    expect(await loadConfig(home)).toEqual(config);
  });

  test('makes the file, 0600', async () => {
    const home = await freshHome();
    await setConfigValue(home, 'server.port', 0);
    expect(JSON.parse(await readFile(join(home, 'config.json'), 'utf8'))).toEqual({ server: { port: 0 } });
    expect((await stat(join(home, 'config.json'))).mode & 0o777).toBe(0o600);
  });

  test.each([
    ['server.port', 'abc', 2, 'server.port'], ['server.prot', 1, 2, 'there is no such setting'],
    ['strict.deep', 1, 2, 'strict'], ['', 1, 2, 'path of a setting'],
  ])('refuses %s = %j and leaves the file', async (path, value, exitCode, message) => {
    const home = await homeWith(GOOD);
    await expect(setConfigValue(home, path, value)).rejects.toMatchObject({ exitCode, message: expect.stringContaining(message) });
    expect(await readFile(join(home, 'config.json'), 'utf8')).toBe(GOOD);
  });

  test('S06: does not touch a file that is not valid', async () => {
    const home = await homeWith('{ nope');
    await expect(setConfigValue(home, 'server.port', 1)).rejects.toMatchObject({ exitCode: 78 });
    expect(await readFile(join(home, 'config.json'), 'utf8')).toBe('{ nope');
  });

  test('edits the file behind a link and leaves the link', async () => {
    const home = await freshHome();
    const dotfiles = await freshHome();
    await writeFile(join(dotfiles, 'relay.json'), GOOD);
    await symlink(join(dotfiles, 'relay.json'), join(home, 'config.json'));
    await setConfigValue(home, 'server.port', 7600);
    expect(await readFile(join(dotfiles, 'relay.json'), 'utf8')).toBe(GOOD.replace('7400', '7600'));
  });

  test('arguments are JSON where they are JSON, else text', () => {
    expect(['7', 'true', '["a"]', 'gpt-6', '"7"', ''].map(readConfigArgument)).toEqual([7, true, ['a'], 'gpt-6', '7', '']);
  });

  test('paths are split at dots outside quotes', () => {
    expect(parseConfigPath('models.aliases."gpt-6.1".models')).toEqual(['models', 'aliases', 'gpt-6.1', 'models']);
    for (const wrong of ['', '.', 'a.', '.a', 'a..b', 'a."b', '"a"b']) {
      expect(() => parseConfigPath(wrong), wrong).toThrow('path of a setting');
    }
  });

  test('a value that is not there is said', () => {
    expect(() => getConfigValue(DEFAULT_CONFIG, 'server.nope')).toThrow('server.nope is not set');
    expect(() => getConfigValue(DEFAULT_CONFIG, 'server.port.constructor')).toThrow('is not set');
    expect(getConfigValue(DEFAULT_CONFIG, 'server.port')).toBe(7352);
  });
});

describe('watching', () => {
  test('a valid change comes into force once it is quiet; an invalid one keeps the old settings and says where', async () => {
    const home = await homeWith(GOOD);
    const clock = fakeClock();
    const log = keptLog();
    const seen: Config[] = [];
    const touched: ((name: string | null) => void)[] = [];
    const touch = (name: string): void => touched.forEach((heard) => heard(name));
    const watched = watchConfig(home, {
      clock, log, config: await loadConfig(home), onChange: (config) => seen.push(config),
      watchFolder: (_, onChange) => {
        touched.push(onChange);
        return () => undefined;
      },
    });
    await writeFile(join(home, 'config.json'), GOOD.replace('7400', '7401'));
    touch('state.json');
    expect(clock.pending).toBe(0);
    touch('config.json');
    touch('config.json');
    expect(clock.pending).toBe(1);
    clock.advance(100);
    await waitFor(() => seen.length === 1);
    expect(watched.current().server.port).toBe(7401);

    await writeFile(join(home, 'config.json'), GOOD.replace('7400', '"x"'));
    const invalid = await watched.reload();
    expect(invalid).toMatchObject({ outcome: 'invalid', message: expect.stringContaining('config.json:3:15 server.port') });
    await watched.reload();
    expect(log.lines.filter((line) => line.startsWith('error'))).toHaveLength(1);
    expect(watched.current().server.port).toBe(7401);

    await writeFile(join(home, 'config.json'), GOOD.replace('7400', '7401'));
    expect(await watched.reload()).toEqual({ outcome: 'unchanged' });
    expect(seen).toHaveLength(1);
    watched.close();
  });

  test('the real watcher sees a file replaced by rename', async () => {
    const home = await homeWith(GOOD);
    const seen: number[] = [];
    const clock = { now: () => Date.now(), after: (ms: number, callback: () => void) => {
      const timer = setTimeout(callback, ms);
      return () => clearTimeout(timer);
    } };
    const onChange = (config: Config): number => seen.push(config.server.port);
    const watched = watchConfig(home, { clock, log: keptLog(), config: await loadConfig(home), onChange, settleMs: 5 });
    await setConfigValue(home, 'server.port', 7402);
    await waitFor(() => seen.at(-1) === 7402);
    watched.close();
  });

  test('where it cannot watch it says so', async () => {
    const log = keptLog();
    const watched = watchConfig(await freshHome(), {
      clock: fakeClock(), log, config: DEFAULT_CONFIG, onChange: () => undefined,
      watchFolder: () => { throw new Error('ENOSPC: no watches left'); },
    });
    expect(log.lines).toEqual(['warn config.json is not watched (ENOSPC: no watches left); send SIGHUP after a change']);
    expect(await watched.reload()).toEqual({ outcome: 'unchanged' });
    watched.close();
  });
});

test('the published schema knows every setting and refuses others', () => {
  const schema = configJsonSchema();
  expect(Object.keys(schema['properties'] as object).sort()).toEqual(['$schema', ...Object.keys(DEFAULT_CONFIG)].sort());
  expect(schema).toMatchObject({ type: 'object', additionalProperties: false });
  expect(schema['required']).toBeUndefined();
});
