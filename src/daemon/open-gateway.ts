import { spentSince } from '../accounting/usage-report.ts';
import type { Clock, Random } from '../core/ports.ts';
import type { Config } from '../core/config.ts';
import type { Admission } from '../gateway/admission.ts';
import { createAdmission } from '../gateway/admission.ts';
import type { AnswerMemory } from '../gateway/answer-memory.ts';
import { createGateway } from '../gateway/create-gateway.ts';
import { meterRequest } from '../gateway/meter.ts';
import { createRefusedParameters } from '../gateway/refused-parameters.ts';
import type { Gateway } from '../gateway/relayed-answer.ts';
import { createRetryMeter } from '../gateway/retry-meter.ts';
import type { Slots } from '../gateway/slots.ts';
import { createBudgetNotices } from './budget-notices.ts';
import type { Parts } from './parts.ts';

/** The gate behind the key, over this daemon's state and ledger. */
export function openAdmission({ state, ledger, live, log, settings }: Parts, slots: Slots, clock: Clock): Admission {
  return createAdmission({
    clock, slots,
    sharedBudgets: () => state.read().budgets,
    spentSince: (owner, since) => spentSince(ledger.totals.read(), since, owner),
    booked: createBudgetNotices({ clock, live, log, settings: settings.current }),
  });
}

/** What the gateway shares with the daemon's other doors. */
export interface GatewayParts {
  readonly admission: Admission;
  readonly answers: AnswerMemory;
}

interface GatewayMeans {
  readonly clock: Clock;
  readonly random: Random;
  readonly version: string;
}

/** The gateway over a daemon's parts. */
export function openGateway(
  parts: Parts, { admission, answers }: GatewayParts, { clock, random, version }: GatewayMeans,
): Gateway {
  const { state, settings, ledger, workshop, live, log, sticky } = parts;
  const config = (): Config => settings.current();
  return createGateway({
    send: workshop.upstream.send,
    clock,
    random,
    log,
    signIns: workshop.signIns,
    settings: config,
    state: () => state.read(),
    answers,
    refused: createRefusedParameters(clock),
    conversationDigest: sticky.digest,
    // The prefix brings its own separator: `resp_`, `chatcmpl-`.
    makeId: (prefix) => prefix + Buffer.from(random.bytes(16)).toString('hex'),
    version,
    pool: workshop.pool,
    sessions: sticky.sessions,
    retries: createRetryMeter(clock, () => config().retry.budgetPercent),
    storageState: () => ledger.journal.state,
    ticket: { clock, journal: ledger.journal, live, log, meter: (metered) => meterRequest(metered, config()) },
    admission,
  });
}
