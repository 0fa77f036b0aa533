import { createInterface } from 'node:readline/promises';

import { CommandError, EXIT } from '../core/errors.ts';
import type { CommandContext } from './context.ts';

/** Asks on the terminal; the answer is shown as it is typed. Null without a terminal. */
export async function ask(question: string, context: CommandContext): Promise<string | null> {
  const { terminal } = context;
  if (terminal === null) return null;
  const prompt = createInterface({ input: terminal.stdin, output: process.stderr });
  try {
    return (await prompt.question(question, { signal: context.signal })).trim();
  } finally {
    prompt.close();
  }
}

/** Asks for a secret: nothing of what is typed or pasted is shown. Throws a usage error without a terminal. */
export async function askHidden(question: string, context: CommandContext): Promise<string> {
  const { terminal } = context;
  if (terminal === null) throw new CommandError(EXIT.usage, 'no terminal to ask on; pipe the key in with --api-key-stdin');
  await context.stderr.write(question);
  const secret = await readHidden(terminal.stdin, context.signal);
  await context.stderr.write('\n');
  return secret.trim();
}

/** Reads one line in raw mode. Ctrl-C and Ctrl-D give up. */
function readHidden(stdin: NonNullable<CommandContext['terminal']>['stdin'], signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    let typed = '';
    const finish = (settle: () => void): void => {
      stdin.off('data', onData);
      signal.removeEventListener('abort', onAbort);
      stdin.setRawMode(false);
      stdin.pause();
      settle();
    };
    const onAbort = (): void => finish(() => reject(new CommandError(EXIT.interrupted, 'interrupted')));
    const onData = (chunk: string): void => {
      for (const character of chunk) {
        if (character === '\r' || character === '\n') return finish(() => resolve(typed));
        if (character === '\u0003' || character === '\u0004') return onAbort();
        if (character === '\u007f' || character === '\b') typed = typed.slice(0, -1);
        else typed += character;
      }
    };
    stdin.setRawMode(true);
    stdin.setEncoding('utf8');
    stdin.resume();
    stdin.on('data', onData);
    signal.addEventListener('abort', onAbort, { once: true });
  });
}

/** A secret from a pipe: everything until its end, at most 64 KiB, without the last newline. */
export async function readSecretFromStdin(context: CommandContext): Promise<string> {
  let text = '';
  for await (const chunk of context.stdin) {
    text += String(chunk);
    if (text.length > 65_536) throw new CommandError(EXIT.usage, 'what came on stdin is no key: it is over 64 KiB');
  }
  const secret = text.trim();
  if (secret === '') throw new CommandError(EXIT.usage, 'nothing came on stdin; pipe the key in: printf %s "$KEY" | relay keys add --provider openai --api-key-stdin');
  return secret;
}
