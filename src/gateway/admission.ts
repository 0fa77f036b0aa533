import { amountsOf, admit, EMPTY_BOOK, release, restoreSpend, settle, spendNow } from '../accounting/budget.ts';
import type { BudgetRefusal, Spend, SpentAmounts } from '../accounting/budget.ts';
import type { BudgetOwner, OwnedLine } from '../accounting/budget-lines.ts';
import { clientLine, linesOf, sharedLine } from '../accounting/budget-lines.ts';
import { windowStart } from '../accounting/budget-window.ts';
import type { OutputHabit } from '../accounting/output-habit.ts';
import { estimateReservation, expectOutput, learnOutput } from '../accounting/output-habit.ts';
import type { ToolBound } from '../accounting/hosted-tools.ts';
import { hostedToolsBound, NO_TOOLS } from '../accounting/hosted-tools.ts';
import type { Client } from '../core/client.ts';
import { RelayError } from '../core/errors.ts';
import { numberAt } from '../core/json.ts';
import type { Clock } from '../core/ports.ts';
import type { CloseRecord, TokenCounts } from '../core/record.ts';
import type { RelayRequest } from '../core/relay-request.ts';
import type { SharedBudget } from '../core/state.ts';
import type { EpochMs, NanoUsd } from '../core/units.ts';
import { MINUTE_MS, SECOND_MS } from '../core/units.ts';
import type { ExpectedUpstream } from './expected-upstream.ts';
import type { Slots } from './slots.ts';

export interface AdmissionDeps {
  readonly clock: Clock;
  readonly slots: Slots;
  readonly sharedBudgets: () => readonly SharedBudget[];
  /** What the ledger says was spent on a budget's owner since a moment. */
  readonly spentSince: (owner: BudgetOwner, since: EpochMs) => SpentAmounts;
  /** Told each time something was booked on a budget. */
  readonly booked: (owned: OwnedLine, spend: Spend) => void;
}

/** A request that was let in: what it holds until it is over. */
export interface Lease {
  /** What its budgets hold for it, with what its tools may bring counted behind the output; null where it stands under none. */
  readonly reserved: TokenCounts | null;
  /** Books what was used, gives back what was not, frees the slot. Only the first call counts. */
  readonly end: (record: CloseRecord) => void;
}

/** What the reservation is made for. */
export interface AdmissionRequest {
  readonly request: RelayRequest;
  /** The first model to be tried. */
  readonly model: string;
  readonly upstream: ExpectedUpstream;
}

/** The gate behind the key: requests a minute, slots, budgets. */
export interface Admission {
  /** Resolves with a lease, or throws `rate_limit_exceeded`, `concurrency_limit` or `budget_exceeded`. */
  enter(wanted: AdmissionRequest, signal: AbortSignal): Promise<Lease>;
  /** Where a budget stands now. */
  standing(owned: OwnedLine): Spend;
}

const DEFAULT_CONCURRENCY = 64;

/** An admission with nothing spent but what the ledger knows. */
export function createAdmission(deps: AdmissionDeps): Admission {
  let book = EMPTY_BOOK;
  const habits = new Map<string, OutputHabit>();
  const minutes = new Map<string, EpochMs[]>();
  // A budget that was lifted counts no more: should it come back, the ledger knows what was spent meanwhile.
  const inForce = new Map<string, { readonly source: readonly unknown[] | null; readonly ids: readonly string[] }>();

  const forgetLifted = (key: string, source: readonly unknown[], lines: readonly OwnedLine[]): void => {
    const known = inForce.get(key);
    if (known?.source === source) return;
    const ids = lines.map(({ line }) => line.id);
    const lifted = (known?.ids ?? []).filter((id) => !ids.includes(id));
    // What running requests hold is settled first; it is looked at again with the next request.
    const held = lifted.filter((id) => (book[id]?.reserved ?? 0) > 0);
    if (lifted.length > held.length) book = Object.fromEntries(Object.entries(book).filter(([id]) => !lifted.includes(id) || held.includes(id)));
    inForce.set(key, { source: held.length > 0 ? null : source, ids: [...ids, ...held] });
  };

  const standing = ({ line, owner }: OwnedLine): Spend => {
    const now = deps.clock.now();
    if (!Object.hasOwn(book, line.id)) book = restoreSpend(book, line, deps.spentSince(owner, windowStart(line.budget.window, now)), now);
    return spendNow(book, line, now);
  };

  const checkRate = (client: Client, now: EpochMs): void => {
    if (client.requestsPerMinute === null) return;
    const recent = (minutes.get(client.id) ?? []).filter((at) => at > now - MINUTE_MS);
    if (recent.length >= client.requestsPerMinute) {
      const waitMs = (recent[0] ?? now) + MINUTE_MS - now;
      throw new RelayError('rate_limit_exceeded', `Client "${client.name}" may send ${client.requestsPerMinute} requests a minute (relay clients set ${client.name} --rpm N).`, {
        retryAfterSeconds: Math.ceil(waitMs / SECOND_MS),
      });
    }
    minutes.set(client.id, [...recent, now]);
  };

  /** Reserves in every budget the request stands under. Throws `budget_exceeded`. */
  const hold = ({ request, model, upstream }: AdmissionRequest, leave: () => void): Lease => {
    const now = deps.clock.now();
    const habitKey = `${request.client.id} ${model}`;
    const { client } = request;
    const shared = deps.sharedBudgets();
    forgetLifted('shared', shared, shared.map(sharedLine));
    forgetLifted(`client:${client.id}`, client.budgets, client.budgets.map((budget) => clientLine(client.name, budget)));
    const lines = linesOf(client, shared);
    for (const owned of lines) standing(owned);
    const { own, withTools, fees } = estimate(request, upstream, habits.get(habitKey) ?? null);
    const admitted = admit(book, lines.map(({ line }) => line), amountsOf(withTools, upstream.price(withTools, fees)), now);
    if (!admitted.ok) throw overBudget(admitted.refusal, now);
    book = admitted.book;
    let ended = false;
    return {
      reserved: lines.length > 0 ? { ...own, output: own.output + withTools.input - own.input } : null,
      end(record) {
        if (ended) return;
        ended = true;
        leave();
        const at = deps.clock.now();
        const served = record.outcome === 'ok' || record.outcome === 'incomplete';
        book = served || record.tokens !== null
          ? settle(book, admitted.reservation, amountsOf(record.tokens, record.cost), at)
          : release(book, admitted.reservation, at);
        if (served && record.tokens !== null) habits.set(habitKey, learnOutput(habits.get(habitKey) ?? null, record.tokens.output));
        for (const owned of lines) deps.booked(owned, standing(owned));
      },
    };
  };

  return {
    async enter({ request, model, upstream }, signal) {
      const { client } = request;
      checkRate(client, deps.clock.now());
      const leave = await deps.slots.enter(`client:${client.id}`, client.concurrency ?? DEFAULT_CONCURRENCY, signal);
      try {
        return hold({ request, model, upstream }, leave);
      } catch (error) {
        leave();
        throw error;
      }
    },
    standing,
  };
}

/** The request's own tokens, and those with what its hosted tools may add. */
function estimate(request: RelayRequest, upstream: ExpectedUpstream, habit: OutputHabit): { own: TokenCounts; withTools: TokenCounts; fees: NanoUsd } {
  const { keepsCaps } = upstream;
  const asked = askedOutput(request);
  // A cap that may or may not be kept holds only where it is the greater of the two.
  const outputCap = asked === null || keepsCaps === 'none' ? null : keepsCaps === 'all' ? asked : Math.max(asked, expectOutput(habit));
  const own = estimateReservation({ inputBytes: request.bytes.length, outputCap, choices: numberAt(request.body, 'n') ?? 1, habit });
  const { input, fees } = toolsOf(request, upstream);
  return { own, withTools: { ...own, input: own.input + input }, fees };
}

function toolsOf({ body }: RelayRequest, { runsTools, keepsCaps }: ExpectedUpstream): ToolBound {
  if (!runsTools) return NO_TOOLS;
  const { max_tool_calls: _ignored, ...uncapped } = body;
  return hostedToolsBound(keepsCaps === 'all' ? body : uncapped);
}

function askedOutput({ body }: RelayRequest): number | null {
  return numberAt(body, 'max_output_tokens') ?? numberAt(body, 'max_completion_tokens') ?? numberAt(body, 'max_tokens') ?? null;
}

function overBudget({ line, reason, resetsAt }: BudgetRefusal, now: EpochMs): RelayError {
  const { unit, window, limit } = line.budget;
  const amount = unit === 'usd' || unit === 'usd-charged' ? limit / 1e9 : limit;
  const said = `the budget of ${line.owner} (${amount} ${unit} per ${window})`;
  const words: Readonly<Record<BudgetRefusal['reason'], string>> = {
    exhausted: `${said} is spent; it begins anew at ${new Date(resetsAt).toISOString()}.`,
    'in-flight': `What is left of ${said} is held by running requests; it begins anew at ${new Date(resetsAt).toISOString()}.`,
    unpriced: `No price is known for this model, so ${said} cannot be kept; set one under pricing in config.json.`,
  };
  const text = words[reason];
  return new RelayError('budget_exceeded', text.charAt(0).toUpperCase() + text.slice(1), {
    shouldRetry: false,
    retryAfterSeconds: Math.min(60, Math.ceil((resetsAt - now) / SECOND_MS)),
    quota: { planType: null, resetsAtSeconds: Math.ceil(resetsAt / SECOND_MS), resetsInSeconds: Math.ceil((resetsAt - now) / SECOND_MS) },
  });
}
