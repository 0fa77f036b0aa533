import type { AccountIdentity, Credential } from '../core/account.ts';
import type { Clock, Random } from '../core/ports.ts';
import { SECOND_MS } from '../core/units.ts';
import type { EpochMs } from '../core/units.ts';
import { mockId } from './mock-id.ts';
import { createMockQuota } from './mock-quota.ts';
import type { MockQuota } from './mock-quota.ts';
import type { MockStep } from './steps.ts';

/** Who a mock account is. `open` ones have no secret and are named by a header, as the `mock` provider does. */
export interface MockAccountSpec {
  readonly name: string;
  readonly kind: 'chatgpt' | 'api-key' | 'open';
  readonly apiKey?: string;
  readonly plan?: string;
  readonly userId?: string;
  readonly workspaceId?: string;
  readonly email?: string;
  readonly fedramp?: boolean;
  /** Models it serves; the mock's own list unless said. */
  readonly models?: readonly string[];
  readonly quota?: { readonly primaryPercent?: number; readonly secondaryPercent?: number };
}

/** What the token endpoint does instead of refreshing. `lost` spends the token and drops the connection. */
export type RefreshFault =
  | { readonly do: 'refuse'; readonly code: string; readonly status?: number }
  | { readonly do: 'status'; readonly status: number }
  | { readonly do: 'hang' | 'reset' | 'lost' };

/** One account of the mock upstream, with its tokens, quota and what its next calls meet. */
export interface MockAccount {
  readonly name: string;
  readonly kind: MockAccountSpec['kind'];
  readonly identity: AccountIdentity | null;
  readonly plan: string | null;
  readonly models: readonly string[] | null;
  readonly quota: MockQuota;
  /** Prepaid money of a key, in dollars; nothing left is told and not enforced. */
  balanceUsd: number;
  /** What Relay would hold for it now: the newest tokens, the key, or nothing. */
  readonly credential: Credential;
  /** Calls being answered now, and the most there ever were at once. */
  readonly inFlight: number;
  readonly peakInFlight: number;
  begin(): () => void;
  /** Ends every access token: 401 until a refresh. The refresh token stays good. */
  expireAccessToken(): void;
  /** Ends the sign-in altogether, as a log-out elsewhere does. */
  revoke(): void;
  accepts(secret: string): 'yes' | 'expired' | 'no';
  /** Whether a refresh token was ever this account's. */
  owns(refreshToken: string): boolean;
  /** Spends a refresh token. */
  refresh(token: string): 'ok' | 'reused' | 'invalidated' | 'unknown';
  /** New tokens, as a sign-in gets them. */
  issue(): IssuedTokens;
  nextStep(): MockStep | null;
  queue(steps: readonly MockStep[]): void;
  stand(failure: StandingFailure | null): void;
  nextRefreshFault(): RefreshFault | null;
  queueRefreshFaults(faults: readonly RefreshFault[]): void;
  /** Tokens of this conversation the account has seen before, then remembers `tokens`. */
  cached(conversation: string | null, tokens: number): number;
}

/** A failure every call meets, until a time, for a number of calls, or until it is mended. */
export interface StandingFailure {
  readonly make: (moment: { readonly nowMs: number }) => MockStep;
  readonly until: EpochMs | null;
  readonly count: number | null;
}

/** A token endpoint's answer. */
export interface IssuedTokens {
  readonly id_token: string;
  readonly access_token: string;
  readonly refresh_token: string;
  readonly expires_in: number;
}

/** Access tokens live ten days at the real endpoint (observed 2026-10). */
const ACCESS_TOKEN_SECONDS = 864_000;
const REMEMBERED_CONVERSATIONS = 1_000;

export interface MockAccountDeps {
  readonly clock: Clock;
  readonly random: Random;
}

/** Makes an account; a ChatGPT one starts signed in. */
export function createMockAccount(spec: MockAccountSpec, deps: MockAccountDeps): MockAccount {
  const tokens = createTokens(spec, deps);
  const work = createWork(deps.clock);
  const conversations = new Map<string, number>();
  let inFlight = 0;
  let peakInFlight = 0;
  return {
    name: spec.name,
    kind: spec.kind,
    identity: spec.kind === 'chatgpt' ? identityOf(spec) : null,
    plan: spec.kind === 'chatgpt' ? (spec.plan ?? 'plus') : null,
    models: spec.models ?? null,
    quota: createMockQuota(spec, deps.clock),
    balanceUsd: 12.5,
    ...tokens,
    ...work,
    get credential() {
      return tokens.current();
    },
    get inFlight() {
      return inFlight;
    },
    get peakInFlight() {
      return peakInFlight;
    },
    begin() {
      inFlight += 1;
      peakInFlight = Math.max(peakInFlight, inFlight);
      let ended = false;
      return () => {
        if (!ended) inFlight -= 1;
        ended = true;
      };
    },
    cached(conversation, input) {
      if (conversation === null) return 0;
      const before = conversations.get(conversation) ?? 0;
      conversations.delete(conversation);
      conversations.set(conversation, input);
      const [oldest] = conversations.keys();
      if (conversations.size > REMEMBERED_CONVERSATIONS && oldest !== undefined) conversations.delete(oldest);
      return before;
    },
  };
}

function identityOf(spec: MockAccountSpec): AccountIdentity {
  return {
    userId: spec.userId ?? `user-${spec.name}`, workspaceId: spec.workspaceId ?? `ws-${spec.name}`,
    email: spec.email ?? `${spec.name}@example.com`, fedramp: spec.fedramp ?? false,
  };
}

interface Tokens extends Pick<MockAccount, 'expireAccessToken' | 'revoke' | 'accepts' | 'owns' | 'refresh' | 'issue'> {
  current(): Credential;
}

function createTokens(spec: MockAccountSpec, { clock, random }: MockAccountDeps): Tokens {
  const apiKey = spec.apiKey ?? `sk-mock-${spec.name}`;
  const access = new Map<string, 'live' | 'expired'>();
  const refresh = new Map<string, 'live' | 'spent' | 'revoked'>();
  let newest: { readonly tokens: IssuedTokens; readonly at: EpochMs } | null = null;

  const issue = (): IssuedTokens => {
    const jwt = (): string => makeMockJwt(claimsOf(spec, clock.now(), mockId('', random)));
    const tokens = { id_token: jwt(), access_token: jwt(), refresh_token: mockId('rt_mock_', random), expires_in: ACCESS_TOKEN_SECONDS };
    access.set(tokens.access_token, 'live');
    refresh.set(tokens.refresh_token, 'live');
    newest = { tokens, at: clock.now() };
    return tokens;
  };
  const expireAccessToken = (): void => {
    for (const token of access.keys()) access.set(token, 'expired');
  };
  return {
    issue,
    expireAccessToken,
    revoke() {
      expireAccessToken();
      for (const token of refresh.keys()) refresh.set(token, 'revoked');
    },
    accepts(secret) {
      if (spec.kind !== 'chatgpt') return spec.kind === 'api-key' && secret === apiKey ? 'yes' : 'no';
      const state = access.get(secret);
      return state === undefined ? 'no' : state === 'live' ? 'yes' : 'expired';
    },
    owns: (token) => refresh.has(token),
    refresh(token) {
      const state = refresh.get(token);
      if (state === undefined) return 'unknown';
      if (state !== 'live') return state === 'spent' ? 'reused' : 'invalidated';
      refresh.set(token, 'spent');
      return 'ok';
    },
    current() {
      if (spec.kind === 'open') return { kind: 'none' };
      if (spec.kind === 'api-key') return { kind: 'api-key', apiKey };
      const { tokens, at } = newest ?? { tokens: issue(), at: clock.now() };
      return {
        kind: 'oauth', accessToken: tokens.access_token, refreshToken: tokens.refresh_token, idToken: tokens.id_token,
        expiresAt: at + ACCESS_TOKEN_SECONDS * SECOND_MS, refreshedAt: at,
      };
    },
  };
}

function createWork(clock: Clock): Pick<MockAccount, 'nextStep' | 'queue' | 'stand' | 'nextRefreshFault' | 'queueRefreshFaults'> {
  const steps: MockStep[] = [];
  const faults: RefreshFault[] = [];
  let standing: (StandingFailure & { left: number }) | null = null;
  return {
    nextStep() {
      const queued = steps.shift();
      if (queued !== undefined) return queued;
      if (standing === null) return null;
      if (standing.left <= 0 || (standing.until !== null && clock.now() >= standing.until)) {
        standing = null;
        return null;
      }
      standing.left -= 1;
      return standing.make({ nowMs: clock.now() });
    },
    queue(more) {
      steps.push(...more);
    },
    stand(failure) {
      standing = failure === null ? null : { ...failure, left: failure.count ?? Number.POSITIVE_INFINITY };
    },
    nextRefreshFault: () => faults.shift() ?? null,
    queueRefreshFaults(more) {
      faults.push(...more);
    },
  };
}

function claimsOf(spec: MockAccountSpec, nowMs: EpochMs, tokenId: string): Readonly<Record<string, unknown>> {
  const identity = identityOf(spec);
  const nowSeconds = Math.floor(nowMs / SECOND_MS);
  return {
    iss: 'https://auth.openai.com',
    aud: ['https://api.openai.com/v1'],
    iat: nowSeconds,
    exp: nowSeconds + ACCESS_TOKEN_SECONDS,
    jti: tokenId,
    email: identity.email,
    'https://api.openai.com/auth': {
      chatgpt_account_id: identity.workspaceId,
      chatgpt_user_id: identity.userId,
      chatgpt_plan_type: spec.plan ?? 'plus',
      chatgpt_account_is_fedramp: identity.fedramp,
      organizations: [{ id: identity.workspaceId, is_default: true, role: 'owner', title: 'Personal' }],
    },
    'https://api.openai.com/profile': { email: identity.email, email_verified: true },
  };
}

function makeMockJwt(claims: Readonly<Record<string, unknown>>): string {
  return `${encodePart({ alg: 'RS256', typ: 'JWT', kid: 'mock' })}.${encodePart(claims)}.bW9jay1zaWduYXR1cmU`;
}

function encodePart(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}
