// `npm run bench:ledger`: what the journal costs to write, to check, to open and to report from. RELAY_BENCH_LINES=1000000 for a long one.
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { emptyTotals, foldRecord, parseTotals } from '../dist/accounting/totals.js';
import { reportUsage } from '../dist/accounting/usage-report.js';
