import { spawn } from 'node:child_process';

import { escapeUnprintable, redact } from './redact.ts';

/** What a person is told: an account needs them, a quota or a budget is used up, and so on. */
export interface Notice {
  readonly title: string;
  readonly text: string;
}

export interface NotifySettings {
  readonly desktop: boolean;
  /** A shell command of the user's; gets RELAY_NOTICE, RELAY_TITLE and RELAY_TEXT in its environment. */
  readonly command: string | null;
  /** `22:00-07:00`, local time; null for none. */
  readonly quietHours: string | null;
}

export interface NotifierDeps {
  /** Starts a program and does not wait for it. Must not throw. */
  readonly start: (program: string, parameters: readonly string[], extra: Readonly<Record<string, string>>) => void;
  readonly platform: NodeJS.Platform;
  /** Minutes since local midnight. */
  readonly minuteOfDay: () => number;
}

export interface Notifier {
  /**
   * Tells a person that `about` (an account, a budget) is in a new condition, once for as long as it lasts; null is the
   * ordinary condition, of which nothing is said. Nothing is shown in quiet hours, nor made up for afterwards.
   */
  edge(about: string, condition: string | null, notice: Notice): void;
}

const MAX_TEXT = 300;

/** A notifier over the desktop's own notices and the user's command. */
export function createNotifier(settings: () => NotifySettings, deps: NotifierDeps): Notifier {
  const conditions = new Map<string, string>();
  return {
    edge(about, condition, notice) {
      if (condition === null) return void conditions.delete(about);
      if (conditions.get(about) === condition) return;
      conditions.set(about, condition);
      const { desktop, command, quietHours } = settings();
      if (quietHours !== null && isQuiet(quietHours, deps.minuteOfDay())) return;
      const title = plain(notice.title);
      const text = plain(notice.text);
      const desktopCall = desktop ? desktopNotice(deps.platform, title, text) : null;
      if (desktopCall !== null) deps.start(desktopCall.program, desktopCall.parameters, {});
      if (command === null || command === '') return;
      const [shell, flag] = deps.platform === 'win32' ? ['cmd.exe', '/c'] : ['/bin/sh', '-c'];
      // Through the environment, never into the command's text: nothing in a notice can become a command.
      deps.start(shell, [flag, command], { RELAY_NOTICE: condition, RELAY_TITLE: title, RELAY_TEXT: text });
    },
  };
}

/** The program that shows a notice on this platform; the texts are parameters of their own, never part of a script. */
function desktopNotice(
  platform: NodeJS.Platform,
  title: string,
  text: string,
): { readonly program: string; readonly parameters: readonly string[] } | null {
  switch (platform) {
    case 'linux':
      return { program: 'notify-send', parameters: ['--app-name=Relay', '--', title, escapeMarkup(text)] };
    case 'darwin':
      return {
        program: 'osascript',
        parameters: [
          '-e',
          'on run argv',
          '-e',
          'display notification (item 2 of argv) with title (item 1 of argv)',
          '-e',
          'end run',
          title,
          text,
        ],
      };
    default:
      return null;
  }
}

/** True inside `HH:MM-HH:MM`, which may go over midnight; equal ends mean never. */
export function isQuiet(hours: string, minuteOfDay: number): boolean {
  const found = /^(\d{2}):(\d{2})-(\d{2}):(\d{2})$/.exec(hours);
  if (found === null) return false;
  const [from, to] = [Number(found[1]) * 60 + Number(found[2]), Number(found[3]) * 60 + Number(found[4])];
  return from <= to ? minuteOfDay >= from && minuteOfDay < to : minuteOfDay >= from || minuteOfDay < to;
}

function plain(text: string): string {
  return escapeUnprintable(redact(text)).slice(0, MAX_TEXT);
}

/** The body of a freedesktop notice may hold markup; ours holds none. */
function escapeMarkup(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

const START_MS = 10_000;

/** Starts a program on its own, ends it after 10 s, and takes no notice of how it went. The vault's passphrase stays here. */
export function startProgram(program: string, parameters: readonly string[], extra: Readonly<Record<string, string>>): void {
  const { RELAY_VAULT_PASSPHRASE: _passphrase, ...environment } = process.env;
  const child = spawn(program, parameters, { stdio: 'ignore', env: { ...environment, ...extra }, timeout: START_MS });
  child.on('error', () => {});
  child.unref();
}

/** Minutes since midnight on this machine's clock and in its zone. */
export function localMinuteOfDay(): number {
  const now = new Date();
  return now.getHours() * 60 + now.getMinutes();
}
