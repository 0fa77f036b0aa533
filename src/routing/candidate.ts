import type { Account, AccountHealth } from '../core/account.ts';
import type { ProviderAdapter } from '../core/provider-adapter.ts';
import type { EpochMs } from '../core/units.ts';
import type { CredentialState } from './account-state.ts';
import type { EndpointBreaker } from './endpoint-breaker.ts';

/** An account as a choice for one request: what is known of it now, gathered by whoever asks. */
export interface Candidate {
  readonly account: Account;
  readonly health: AccountHealth;
  readonly billing: ProviderAdapter['billing'];
  /** By its own catalogue. */
  readonly servesModel: boolean;
  readonly credentialState: CredentialState;
  readonly inFlight: number;
  /** Most requests at once. */
  readonly concurrency: number;
  /** List price of the model's input and output together, USD per million tokens; 0 on a subscription, null unknown. */
  readonly usdPerMillion: number | null;
  /** When it was last chosen; null when never. */
  readonly lastChosenAt: EpochMs | null;
  /** The breaker of the origin it calls. */
  readonly endpoint: EndpointBreaker;
}

/** The request as far as the choice goes. */
export interface Wanted {
  readonly model: string;
  /** Names of the accounts the client may use; null allows every account. */
  readonly clientAccounts: readonly string[] | null;
  /** Ids of accounts this request has already been to in vain. */
  readonly tried: ReadonlySet<string>;
  /** When the request came: an origin that failed only since then is still asked, within the request's attempts. */
  readonly receivedAt: EpochMs;
  /** Whether API keys may take over for spent subscriptions. */
  readonly paidOverflow: boolean;
}
