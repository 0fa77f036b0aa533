import { performance } from 'node:perf_hooks';

import { UNKNOWN_HEALTH } from '../src/core/account.ts';
import type { Candidate } from '../src/routing/candidate.ts';
import { chooseAccount } from '../src/routing/choose-account.ts';
import { CLOSED_ENDPOINT } from '../src/routing/endpoint-breaker.ts';

/** What choosing among 50 accounts costs, in microseconds of CPU: batches of 100 choices, the median and the best. */
const NOW = Date.UTC(2026, 10, 21);
const candidates: readonly Candidate[] = Array.from({ length: 50 }, (_, index): Candidate => ({
  account: {
    id: `acc_${index}`, name: `account-${index}`, provider: 'chatgpt', kind: 'chatgpt', priority: 10, baseUrl: null, wire: null, plan: 'plus', identity: null,
    paused: false, needsLogin: null, createdAt: index,
  },
  health: {
    ...UNKNOWN_HEALTH, ttftMs: 400 + index,
    quota: [300, 10_080].map((minutes) => ({ bucket: 'codex', minutes, usedPercent: index, resetsAt: NOW + 3_600_000, seenAt: NOW })),
    cooldowns: index % 5 === 0 ? [{ scope: 'account', until: NOW + 9_000, since: NOW, reason: 'rate_limit_exceeded' }] : [],
  },
  billing: 'subscription', servesModel: true, credentialState: 'ready', inFlight: index % 8, concurrency: 8, usdPerMillion: 0, lastChosenAt: null,
  endpoint: CLOSED_ENDPOINT,
}));

const batches: number[] = [];
for (let batch = 0; batch < 200; batch++) {
  const before = process.cpuUsage();
  const started = performance.now();
  for (let round = 0; round < 100; round++) {
    chooseAccount(candidates, {
      model: 'gpt-6-sol', clientAccounts: null, tried: new Set(), receivedAt: NOW, paidOverflow: false, strategy: 'balanced', weights: {},
      sticky: { kind: 'new' }, now: NOW, random: 0.5, estimatedTokens: 1_000,
    });
  }
  const { user, system } = process.cpuUsage(before);
  batches.push(Math.min(user + system, (performance.now() - started) * 1_000) / 100);
}
batches.sort((left, right) => left - right);
process.stdout.write(`${JSON.stringify({ accounts: 50, medianUs: Number((batches[100] ?? 0).toFixed(1)), bestUs: Number((batches[0] ?? 0).toFixed(1)) })}\n`);
