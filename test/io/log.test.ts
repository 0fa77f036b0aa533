import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import * as fc from 'fast-check';
import { describe, expect, onTestFinished, test } from 'vitest';

import type { LogFile, LogFileOptions } from '../../src/io/log.ts';
import { createLog, openLogFile, streamSink } from '../../src/io/log.ts';
import { humanLine, jsonLine } from '../../src/io/log-line.ts';
import type { LogEntry } from '../../src/io/log-line.ts';
import { redact } from '../../src/io/redact.ts';
import { FAKE_START, fakeClock } from '../support/fake-clock.ts';

const JWT = 'eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln';

function entry(message: string, facts: Record<string, unknown> = {}): LogEntry {
  return { t: FAKE_START, level: 'info', message, facts };
}

function openTemporary(over: Partial<LogFileOptions> = {}): { readonly path: string; readonly file: LogFile } {
  const folder = mkdtempSync(join(tmpdir(), 'relay-log-'));
  const path = join(folder, 'logs', 'relay.log');
  const file = openLogFile({ path, format: jsonLine, maxBytes: 1_000, keep: 2, ...over });
  onTestFinished(async () => {
    await file.close();
    rmSync(folder, { recursive: true, force: true });
  });
  return { path, file };
}

describe('a log line', () => {
  test('holds time, level, message and facts', () => {
    expect(JSON.parse(jsonLine(entry('request finished', { account: 'work', status: 200, stream: true, model: null })))).toEqual({
      t: FAKE_START,
      level: 'info',
      message: 'request finished',
      account: 'work',
      status: 200,
      stream: true,
      model: null,
    });
    expect(humanLine(entry('request finished', { account: 'my work', status: 200 }))).toBe(
      '12:00:00 info  request finished account="my work" status=200\n',
    );
  });

  test.each([
    ['Authorization: Bearer abcdef0123456789', 'abcdef'],
    ['key sk-relay-0123456789abcdef was refused', '0123456789'],
    ['key sk-proj-0123456789_abcdef', '0123456789'],
    ['token rt_0123456789abcdef', '0123456789'],
    [`token ${JWT} ended`, 'eyJ'],
    ['{"refresh_token":"opaque value","x":1}', 'opaque'],
    ['refresh_token=opaque&x=1', 'opaque'],
    ['AIzaSyA0123456789012345678901234567890', 'SyA0123'],
    ['GET https://example.com/v1/models?key=opaque failed', 'opaque'],
    ['proxy http://ada:hunter2@proxy:8080 refused', 'hunter2'],
  ])('X01 of %j keeps no secret', (text, secret) => {
    expect(jsonLine(entry(text, { detail: text }))).not.toContain(secret);
    expect(humanLine(entry(text, { detail: text }))).not.toContain(secret);
  });

  test('X11 keeps the path of a URL and not its query', () => {
    expect(redact('GET https://example.com/v1/models?client_version=1 gave 500')).toBe(
      'GET https://example.com/v1/models?[redacted] gave 500',
    );
  });

  test('X06 writes plain values only: an object is named by its type and not looked into', () => {
    const line = jsonLine(
      entry('failed', {
        error: new Error('Bearer opaque-secret-1'),
        request: { headers: { authorization: 'opaque-secret-2' } },
        body: 'opaque-secret-3',
        accessToken: 'opaque-secret-4',
        tokens: 12,
        outputTokens: 7,
        ratio: Number.NaN,
      }),
    );
    expect(line).not.toContain('opaque-secret');
    expect(JSON.parse(line)).toMatchObject({
      error: '[object]',
      request: '[object]',
      body: '[withheld]',
      accessToken: '[withheld]',
      tokens: 12,
      outputTokens: 7,
      ratio: null,
    });
  });

  test('a fact cannot pass itself off as the time, the level or the message', () => {
    expect(JSON.parse(jsonLine(entry('real', { t: 1, level: 'error', message: 'forged', 'bad name': 1 })))).toEqual({
      t: FAKE_START,
      level: 'info',
      message: 'real',
    });
  });

  test('whatever a text holds, a line is one line of ASCII-safe JSON that moves no cursor', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (text) => {
        for (const line of [jsonLine(entry(text, { text })), humanLine(entry(text, { text }))]) {
          expect(line.endsWith('\n')).toBe(true);
          expect(line.slice(0, -1)).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
        }
        expect(typeof JSON.parse(jsonLine(entry(text))).message).toBe('string');
      }),
    );
  });

  test('is bounded', () => {
    expect(
      jsonLine(entry('x'.repeat(100_000), Object.fromEntries(Array.from({ length: 100 }, (_, n) => [`f${n}`, 'y'.repeat(5_000)])))).length,
    ).toBeLessThan(80_000);
  });
});

describe('a log', () => {
  test('drops what is below its level and stamps the rest with the clock', () => {
    const lines: string[] = [];
    const log = createLog({ clock: fakeClock(), level: 'warn', sinks: [streamSink((line) => lines.push(line), jsonLine)] });
    log.info('too quiet');
    log.warn('heard');
    expect(lines.map((line) => JSON.parse(line))).toEqual([{ t: FAKE_START, level: 'warn', message: 'heard' }]);
  });

  test('a sink that throws costs neither the caller nor the other sinks', () => {
    const lines: string[] = [];
    const log = createLog({
      clock: fakeClock(),
      level: 'debug',
      sinks: [
        () => {
          throw new Error('broken pipe');
        },
        streamSink((line) => lines.push(line), jsonLine),
      ],
    });
    log.error('still said');
    expect(lines).toHaveLength(1);
  });
});

describe('a log file', () => {
  test('S16 keeps order, is 0600 even where an older one was open to others', async () => {
    const { path, file } = openTemporary({ maxBytes: 1_000_000 });
    for (let n = 0; n < 500; n++) file.sink(entry(`line ${n}`));
    await file.flush();
    const lines = readFileSync(path, 'utf8').trim().split('\n');
    expect(lines.map((line) => JSON.parse(line).message)).toEqual(Array.from({ length: 500 }, (_, n) => `line ${n}`));
    expect(statSync(path).mode & 0o777).toBe(0o600);
    await file.close();
    rmSync(path);
    writeFileSync(path, '', { mode: 0o644 });
    file.sink(entry('again'));
    await file.flush();
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  test('rotates at its size and keeps so many', async () => {
    const { path, file } = openTemporary();
    for (let n = 0; n < 6; n++) {
      file.sink(entry(`${n} ${'word '.repeat(220)}`));
      await file.flush();
    }
    file.sink(entry('newest'));
    await file.flush();
    expect(JSON.parse(readFileSync(path, 'utf8')).message).toBe('newest');
    expect(JSON.parse(readFileSync(`${path}.1`, 'utf8')).message.startsWith('5 ')).toBe(true);
    expect(JSON.parse(readFileSync(`${path}.2`, 'utf8')).message.startsWith('4 ')).toBe(true);
    expect(existsSync(`${path}.3`)).toBe(false);
  });

  test('a path that cannot be written costs entries and nothing else, and it goes on when it can', async () => {
    const { path, file } = openTemporary();
    writeFileSync(join(path, '..', '..', 'logs'), 'a file where the folder should be');
    file.sink(entry('lost'));
    await file.flush();
    rmSync(join(path, '..'));
    file.sink(entry('kept'));
    await file.flush();
    expect(JSON.parse(readFileSync(path, 'utf8')).message).toBe('kept');
  });
});
