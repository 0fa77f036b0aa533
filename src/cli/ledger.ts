import type { Command } from 'commander';

import { CommandError, EXIT } from '../core/errors.ts';
import type { CommandContext } from './context.ts';

/** Adds `relay ledger …`. */
export function registerLedger(program: Command, context: CommandContext): void {
  const ledger = program.command('ledger').description('The journal of every request');
  ledger.command('verify').description('check the chain of every line; exits 3 when one is wrong').option('--json', 'as JSON')
    .addHelpText('after', '\nExample:\n  $ relay ledger verify --json | jq .ok')
    .action(async ({ json }: { readonly json?: boolean }) => {
      const { verifyLedger } = await import('../storage/verify.ts');
      const report = await verifyLedger(context.home);
      if (json) await context.stdout.write(`${JSON.stringify(report)}\n`);
      else if (report.ok) await context.stdout.write(`${report.lines} lines, chain whole, head ${report.head.seq} ${report.head.h}\n`);
      if (!report.ok) throw new CommandError(EXIT.ledgerCorrupt, `the ledger is corrupt: ${report.fault?.segment ?? ''} line ${report.fault?.line ?? 0}: ${report.fault?.reason ?? ''}`);
    });
}
