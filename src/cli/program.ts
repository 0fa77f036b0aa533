import { Command, CommanderError } from 'commander';

import { ControlError } from '../control/control.ts';
import { CommandError, EXIT } from '../core/errors.ts';
import type { ExitCode } from '../core/errors.ts';
import { printable } from '../core/printable.ts';
import { systemClock } from '../io/system-clock.ts';
import type { CommandContext } from './context.ts';
import { processContext } from './context.ts';
import { registerBudgets } from './budgets.ts';
import { registerClients } from './clients.ts';
import { registerConfig } from './config.ts';
import { registerKeys } from './keys.ts';
import { registerLedger } from './ledger.ts';
import { registerLifecycle } from './lifecycle.ts';
import { registerLogs } from './logs.ts';
import { registerModels } from './models.ts';
import { registerPrices } from './prices.ts';
import { registerRun } from './run.ts';
import { registerShow } from './show.ts';
import { registerSimulate } from './simulate.ts';
import { registerUsage, runUsage, wantsScreen } from './usage.ts';
import { VERSION } from './version.ts';
import { registerWhy } from './why.ts';

/** Builds the program: every command registered, nothing loaded that only one of them needs. */
export function createProgram(context: CommandContext): Command {
  const program = new Command('relay')
    .description('One OpenAI-compatible endpoint on localhost, served from your own ChatGPT sign-ins and API keys')
    .version(VERSION)
    .showHelpAfterError('(relay --help shows the commands)')
    .exitOverride()
    .configureOutput({ writeOut: (text) => void context.stdout.write(text), writeErr: (text) => void context.stderr.write(text) })
    .addHelpText('after', `
Examples:
  $ relay start --mock          try everything with no account
  $ relay keys add              sign in with ChatGPT
  $ relay run codex             start Codex through Relay
  $ relay usage                 watch what it costs`);

  registerLifecycle(program, context);
  registerKeys(program, context);
  registerClients(program, context);
  registerBudgets(program, context);
  registerModels(program, context);
  registerRun(program, context);
  registerUsage(program, async (options) => {
    if (wantsScreen(options, context)) {
      const { openUsageScreen } = await import('./usage-screen.ts');
      return openUsageScreen(context);
    }
    const { openLedger } = await import('./ledger-access.ts');
    await openLedger(context, (data) => runUsage(options, context, data));
  });
  registerLogs(program, async (options) => {
    const { openLedger } = await import('./ledger-access.ts');
    const { runLogs } = await import('./logs.ts');
    await openLedger(context, (data) => runLogs(options, context, data));
  });
  registerShow(program, async (id, options) => {
    const { openLedger } = await import('./ledger-access.ts');
    const { runShow } = await import('./show.ts');
    await openLedger(context, (data) => runShow(id, options, context, data));
  });
  registerWhy(program, context);
  registerSimulate(program, context);
  registerPrices(program, context);
  registerLedger(program, context);
  registerConfig(program, context);
  for (const command of program.commands) inheritSettings(command, program);
  return program;
}

/** Sub-commands made before `exitOverride` was inherited must not end the process by themselves either. */
function inheritSettings(command: Command, parent: Command): void {
  command.copyInheritedSettings(parent);
  for (const child of command.commands) inheritSettings(child, command);
}

const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** Runs one command line in a context and gives its exit code. Errors end as one line on stderr, never as a stack. */
export async function runProgram(args: readonly string[], context: CommandContext): Promise<ExitCode> {
  try {
    await createProgram(context).parseAsync([...args], { from: 'user' });
    return context.signal.aborted ? EXIT.interrupted : EXIT.ok;
  } catch (error) {
    return report(error, context);
  }
}

/** Runs the command line given as this process, and sets its exit code unless the command did. */
export async function main(args: readonly string[]): Promise<void> {
  const interrupt = new AbortController();
  const onSignal = (): void => interrupt.abort();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, onSignal);
  const context = processContext(systemClock, interrupt.signal);
  // The clock's timers keep no process alive, and a command may be waiting on nothing else.
  const alive = setInterval(() => {}, LONGEST_TIMER_MS);
  try {
    const code = await runProgram(args, context);
    if (code !== EXIT.ok) process.exitCode ??= code;
  } finally {
    clearInterval(alive);
  }
}

async function report(error: unknown, context: CommandContext): Promise<ExitCode> {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  if (context.signal.aborted && isAbort(error)) return EXIT.interrupted;
  const message = error instanceof Error ? error.message : String(error);
  await context.stderr.write(`relay: ${message.split('\n').map(printable).join('\n')}\n`);
  if (error instanceof CommandError) return error.exitCode;
  if (error instanceof ControlError) return error.code === 'keychain' ? EXIT.configuration : EXIT.failed;
  return EXIT.internal;
}

function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === 'AbortError';
}
