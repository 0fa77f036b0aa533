import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { describe, expect, onTestFinished, test, vi } from 'vitest';

import type { NotifierDeps, NotifySettings } from '../../src/io/notify.ts';
import { createNotifier, isQuiet, startProgram } from '../../src/io/notify.ts';
import { waitFor } from '../support/wait-for.ts';

interface Started {
  readonly program: string;
  readonly parameters: readonly string[];
  readonly extra: Readonly<Record<string, string>>;
}

function open(
  settings: Partial<NotifySettings> = {},
  over: Partial<NotifierDeps> = {},
): { readonly notifier: ReturnType<typeof createNotifier>; readonly started: Started[] } {
  const started: Started[] = [];
  const notifier = createNotifier(() => ({ desktop: true, command: null, quietHours: null, ...settings }), {
    start: (program, parameters, extra) => started.push({ program, parameters, extra }),
    platform: 'linux',
    minuteOfDay: () => 12 * 60,
    ...over,
  });
  return { notifier, started };
}

const NOTICE = { title: 'Sign-in needed', text: 'Account "work" was signed out.' };

describe('a notice', () => {
  test('is shown once for as long as the condition lasts, and again after it was over', () => {
    const { notifier, started } = open();
    notifier.edge('work', 'needs-login', NOTICE);
    notifier.edge('work', 'needs-login', NOTICE);
    notifier.edge('home', 'needs-login', NOTICE);
    expect(started).toHaveLength(2);
    notifier.edge('work', null, NOTICE);
    expect(started).toHaveLength(2);
    notifier.edge('work', 'needs-login', NOTICE);
    notifier.edge('work', 'exhausted', NOTICE);
    expect(started).toHaveLength(4);
  });

  test('goes to the platform’s own program, its text a parameter and never a script', () => {
    const hostile = { title: '-e do shell script "x"', text: '"; rm -rf / <b>$(id)</b>\u001b[2J Bearer abcdef123456' };
    const linux = open();
    linux.notifier.edge('a', 'c', hostile);
    expect(linux.started).toEqual([
      {
        program: 'notify-send',
        parameters: ['--app-name=Relay', '--', hostile.title, '"; rm -rf / &lt;b&gt;$(id)&lt;/b&gt;\\u001b[2J Bearer [redacted]'],
        extra: {},
      },
    ]);
    const mac = open({}, { platform: 'darwin' });
    mac.notifier.edge('a', 'c', hostile);
    expect(mac.started[0]?.program).toBe('osascript');
    expect(mac.started[0]?.parameters.filter((parameter) => parameter === '-e')).toHaveLength(3);
    expect(mac.started[0]?.parameters.slice(6)).toEqual([hostile.title, '"; rm -rf / <b>$(id)</b>\\u001b[2J Bearer [redacted]']);
    const windows = open({}, { platform: 'win32' });
    windows.notifier.edge('a', 'c', hostile);
    expect(windows.started).toEqual([]);
  });

  test('reaches the user’s command through the environment', () => {
    const { notifier, started } = open({ desktop: false, command: 'my-notify' });
    notifier.edge('work', 'needs-login', NOTICE);
    expect(started).toEqual([
      {
        program: '/bin/sh',
        parameters: ['-c', 'my-notify'],
        extra: { RELAY_NOTICE: 'needs-login', RELAY_TITLE: NOTICE.title, RELAY_TEXT: NOTICE.text },
      },
    ]);
  });

  test('is not shown in quiet hours, nor made up for', () => {
    const { notifier, started } = open({ quietHours: '11:00-13:00' });
    notifier.edge('work', 'needs-login', NOTICE);
    expect(started).toEqual([]);
  });

  test.each([
    ['22:00-07:00', 23 * 60, true],
    ['22:00-07:00', 6 * 60 + 59, true],
    ['22:00-07:00', 7 * 60, false],
    ['22:00-07:00', 12 * 60, false],
    ['09:30-17:00', 9 * 60 + 30, true],
    ['09:30-17:00', 9 * 60 + 29, false],
    ['08:00-08:00', 8 * 60, false],
    ['nonsense', 0, false],
  ])('quiet hours %s at minute %i: %s', (hours, minute, quiet) => {
    expect(isQuiet(hours, minute)).toBe(quiet);
  });
});

describe('a program that is started', () => {
  test('runs on its own, with the notice and without the vault’s passphrase', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'relay-notify-'));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    vi.stubEnv('RELAY_VAULT_PASSPHRASE', 'opaque');
    onTestFinished(() => void vi.unstubAllEnvs());
    startProgram('/bin/sh', ['-c', `printf '%s|%s\\n' "$RELAY_TITLE" "$RELAY_VAULT_PASSPHRASE" > ${folder}/out`], { RELAY_TITLE: 'hello' });
    expect(await waitFor(() => readFileSync(join(folder, 'out'), 'utf8'))).toBe('hello|\n');
  });

  test('one that does not exist is no error', async () => {
    startProgram('/nonexistent/program', [], {});
    await new Promise((resolve) => setImmediate(resolve));
  });
});
