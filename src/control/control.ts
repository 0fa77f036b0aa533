import type { Budget, Client, ClientKey } from '../core/client.ts';
import type { ControlMethod, ControlParams } from '../core/control-messages.ts';
import type { LiveRequest } from '../core/ports.ts';
import type { CloseRecord, JournalLine } from '../core/record.ts';
import type { SharedBudget } from '../core/state.ts';
import type { EpochMs } from '../core/units.ts';
import type { AccountView, PriceView, StatusView, UsageReport, WhyReport } from '../core/views.ts';

/** A client as people see it: no digests. */
export interface ClientView extends Omit<Client, 'keys'> {
  readonly keys: readonly Omit<ClientKey, 'sha256'>[];
}

/** A client key just made: the only moment at which it can be seen. */
export interface IssuedKey extends ClientView {
  readonly key: string;
}

/** A budget and where it stands. Money is 1e-9 USD; `left` is what neither was spent nor is held by running requests. */
export interface BudgetView extends Budget {
  readonly of: 'client' | SharedBudget['of'];
  readonly name: string;
  readonly spent: number;
  readonly reserved: number;
  readonly left: number;
  readonly resetsAt: EpochMs;
}

/** What a check of an account against its upstream gave. */
export type AccountTest =
  | { readonly ok: true; readonly detail: string; readonly models: number | null }
  | { readonly ok: false; readonly code: string; readonly status: number | null; readonly detail: string };

export interface AddedAccount {
  readonly account: AccountView;
  /** null when it was added without a check. */
  readonly test: AccountTest | null;
}

export interface ServedModel {
  readonly id: string;
  readonly accounts: readonly string[];
  readonly providers: readonly string[];
  readonly contextTokens: number | null;
  readonly efforts: readonly string[];
}

/** What the screen shows of this very moment. */
export interface LiveSnapshot {
  /** null while no daemon runs. */
  readonly daemon: { readonly state: 'running' | 'draining'; readonly url: string; readonly startedAt: EpochMs } | null;
  readonly running: readonly LiveRequest[];
  readonly accounts: readonly AccountView[];
}

/** What pruning took out of the journal. */
export interface PrunedLines {
  readonly segments: number;
  readonly lines: number;
  readonly bytes: number;
  /** The first UTC day that is kept whole, YYYY-MM-DD; null when nothing was removed. */
  readonly keptFrom: string | null;
}

/** What fetching the broad price table gave. */
export interface PricesUpdated {
  readonly source: string;
  readonly fetchedAt: EpochMs;
  readonly models: number;
  /** Rows that could not be read and were left out, one each, by vendor and model. */
  readonly skipped: readonly { readonly row: string; readonly reason: string }[];
}

interface Results {
  /** Who holds this home; costs nothing. */
  ping: { readonly url: string | null; readonly pid: number };
  status: StatusView;
  stop: null;
  reload: { readonly ok: boolean; readonly message: string };
  'accounts.list': readonly AccountView[];
  'accounts.add': AddedAccount;
  'accounts.login': AddedAccount;
  'accounts.remove': { readonly revoked: boolean };
  'accounts.rename': AccountView;
  'accounts.pause': AccountView;
  'accounts.resume': AccountView;
  'accounts.wake': AccountView;
  'accounts.test': AccountTest;
  'clients.list': readonly ClientView[];
  'clients.add': IssuedKey;
  'clients.set': ClientView;
  'clients.rotate': IssuedKey;
  'clients.revoke': ClientView;
  'clients.token': { readonly key: string };
  'budgets.list': readonly BudgetView[];
  'budgets.set': SharedBudget;
  /** Those that were removed. */
  'budgets.remove': readonly SharedBudget[];
  'models.list': readonly ServedModel[];
  'usage.report': UsageReport;
  'requests.list': readonly JournalLine<CloseRecord>[];
  'requests.get': JournalLine<CloseRecord> | null;
  'ledger.rebuild': { readonly lines: number };
  'ledger.prune': PrunedLines;
  'prices.list': readonly PriceView[];
  'prices.update': PricesUpdated;
  'routing.why': WhyReport;
  'live.snapshot': LiveSnapshot;
}

export type ControlResult<M extends ControlMethod> = Results[M];

/**
 * What a person can do to Relay. The daemon serves it over its control socket; a command with no daemon running
 * has the same thing in its own process. Faults of the caller reject with a {@link ControlError}.
 */
export interface Control {
  call<M extends ControlMethod>(method: M, params: ControlParams<M>): Promise<ControlResult<M>>;
}

/** Why something a person asked for was not done, in words for that person. */
export class ControlError extends Error {
  override readonly name = 'ControlError';
  readonly code: 'not_found' | 'exists' | 'invalid' | 'keychain' | 'terms' | 'not_running' | 'storage';

  constructor(code: ControlError['code'], message: string) {
    super(message);
    this.code = code;
  }
}

export type ControlHandlers = { readonly [M in ControlMethod]: (params: ControlParams<M>) => Promise<ControlResult<M>> };
