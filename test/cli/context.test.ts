import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { PassThrough, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';

import { describe, expect, test } from 'vitest';

import { createOutput, relayHome } from '../../src/cli/context.ts';
import { within } from '../support/wait-for.ts';

describe('an output', () => {
  test.each<[string, boolean, Record<string, string>, boolean]>([
    ['a terminal', true, {}, true],
    ['a pipe', false, {}, false],
    ['NO_COLOR', true, { NO_COLOR: '1' }, false],
    ['an empty NO_COLOR', true, { NO_COLOR: '' }, true],
    ['FORCE_COLOR=0', true, { FORCE_COLOR: '0' }, false],
    ['a dumb terminal', true, { TERM: 'dumb' }, false],
  ])('colours: %s', (_, isTTY, env, colour) => {
    expect(createOutput(Object.assign(new PassThrough(), { isTTY }), env).colour).toBe(colour);
  });

  test('columns are those of the moment, and none in a pipe', () => {
    const stream = Object.assign(new PassThrough(), { isTTY: true, columns: 100 });
    const output = createOutput(stream, {});
    expect(output.columns).toBe(100);
    stream.columns = 60;
    expect(output.columns).toBe(60);
    stream.columns = 0;
    expect(output.columns).toBe(80);
    expect(createOutput(new PassThrough(), {}).columns).toBe(Number.POSITIVE_INFINITY);
  });

  test('P08: a reader that is gone closes it quietly', async () => {
    const gone = new Writable({ write: (_chunk, _encoding, done) => done(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' })) });
    const output = createOutput(gone, {});
    await output.write('one');
    expect(output.closed.aborted).toBe(true);
    await output.write('two');
  });

  test('a full disk is an error', async () => {
    const full = new Writable({ write: (_chunk, _encoding, done) => done(Object.assign(new Error('no space left'), { code: 'ENOSPC' })) });
    const output = createOutput(full, {});
    await expect(output.write('one')).rejects.toThrow('no space left');
    expect(output.closed.aborted).toBe(false);
  });

  test('P08: a whole process that writes into a closed pipe ends by itself, without a stack', async () => {
    const module = fileURLToPath(new URL('../../src/cli/context.ts', import.meta.url));
    const child = spawn(process.execPath, ['--input-type=module', '--experimental-strip-types', '--no-warnings', '-e', `
      const { createOutput } = await import(${JSON.stringify(module)});
      const output = createOutput(process.stdout, {});
      while (!output.closed.aborted) await output.write('line\\n'.repeat(1_000));
    `], { stdio: ['ignore', 'pipe', 'pipe'] });
    let errors = '';
    child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()));
    await once(child.stdout, 'data');
    child.stdout.destroy();
    const [code] = await within(once(child, 'exit'), 'the process to end', 15_000);
    expect({ code, errors }).toEqual({ code: 0, errors: '' });
  });
});

test('home is where RELAY_HOME says, as an absolute path, else in the user\'s home', () => {
  expect(relayHome({ RELAY_HOME: '/tmp/relay' })).toBe('/tmp/relay');
  expect(relayHome({ RELAY_HOME: 'here' })).toBe(`${process.cwd()}/here`);
  expect(relayHome({})).toMatch(/\/\.relay$/);
  expect(relayHome({ RELAY_HOME: '' })).toMatch(/\/\.relay$/);
});
