import type { JsonObject } from '../core/json.ts';
import type { Clock } from '../core/ports.ts';
import { MINUTE_MS, SECOND_MS } from '../core/units.ts';
import type { EpochMs } from '../core/units.ts';
import { usageLimited } from './steps.ts';
import type { RefuseStep } from './steps.ts';

const PRIMARY_MINUTES = 300;
const SECONDARY_MINUTES = 10_080;
/** What an open account's use approaches and never passes: `relay start --mock` must serve all day. */
const OPEN_CEILING = 80;

/** An account's two quota windows. They move with use, and a ChatGPT account refuses when one is full. */
export interface MockQuota {
  primaryPercent: number;
  secondaryPercent: number;
  /** Counts one served call. */
  spend(): void;
  headers(): Readonly<Record<string, string>>;
  /** The refusal of a full window; null while there is room. */
  refusal(): RefuseStep | null;
  /** What `GET /wham/usage` answers. */
  report(who: { readonly userId: string | null; readonly workspaceId: string | null; readonly email: string | null }): JsonObject;
}

/** Windows that begin now, as used as the account says. */
export function createMockQuota(
  spec: {
    readonly kind: string;
    readonly plan?: string;
    readonly quota?: { readonly primaryPercent?: number; readonly secondaryPercent?: number };
  },
  clock: Clock,
): MockQuota {
  const begun = clock.now();
  const plan = spec.plan ?? 'plus';
  const resetsAt = (minutes: number): number => Math.ceil(endOfWindow(begun, minutes, clock.now()) / SECOND_MS);
  const quota: MockQuota = {
    primaryPercent: spec.quota?.primaryPercent ?? 4,
    secondaryPercent: spec.quota?.secondaryPercent ?? 2,
    spend() {
      const [few, fewer] =
        spec.kind === 'open' ? [(OPEN_CEILING - quota.primaryPercent) / 400, (OPEN_CEILING - quota.secondaryPercent) / 2_000] : [0.2, 0.04];
      quota.primaryPercent += Math.max(0, few);
      quota.secondaryPercent += Math.max(0, fewer);
    },
    headers() {
      if (spec.kind === 'api-key') return {};
      return {
        'x-codex-primary-used-percent': percent(quota.primaryPercent),
        'x-codex-primary-window-minutes': String(PRIMARY_MINUTES),
        'x-codex-primary-reset-at': String(resetsAt(PRIMARY_MINUTES)),
        'x-codex-secondary-used-percent': percent(quota.secondaryPercent),
        'x-codex-secondary-window-minutes': String(SECONDARY_MINUTES),
        'x-codex-secondary-reset-at': String(resetsAt(SECONDARY_MINUTES)),
        'x-codex-active-limit': 'codex',
        'x-codex-plan-type': plan,
        'x-codex-credits-has-credits': 'false',
        'x-codex-credits-unlimited': 'false',
      };
    },
    refusal() {
      const full = quota.secondaryPercent >= 100 ? SECONDARY_MINUTES : quota.primaryPercent >= 100 ? PRIMARY_MINUTES : null;
      if (full === null || spec.kind !== 'chatgpt') return null;
      const at = resetsAt(full);
      const refusal = usageLimited({
        resetsAt: at,
        resetsInSeconds: Math.max(1, at - Math.floor(clock.now() / SECOND_MS)),
        plan,
        windowMinutes: full,
      });
      return { ...refusal, headers: quota.headers() };
    },
    report: ({ userId, workspaceId, email }) => ({
      user_id: userId,
      account_id: workspaceId,
      email,
      plan_type: plan,
      rate_limit: {
        allowed: quota.refusal() === null,
        limit_reached: quota.refusal() !== null,
        primary_window: windowReport(quota.primaryPercent, PRIMARY_MINUTES, resetsAt(PRIMARY_MINUTES), clock.now()),
        secondary_window: windowReport(quota.secondaryPercent, SECONDARY_MINUTES, resetsAt(SECONDARY_MINUTES), clock.now()),
      },
      additional_rate_limits: [],
      credits: { has_credits: false, unlimited: false, balance: null },
      rate_limit_reached_type: null,
    }),
  };
  return quota;
}

function endOfWindow(begun: EpochMs, minutes: number, now: EpochMs): EpochMs {
  const length = minutes * MINUTE_MS;
  return begun + Math.max(1, Math.ceil((now - begun + 1) / length)) * length;
}

function windowReport(used: number, minutes: number, resetAt: number, nowMs: EpochMs): JsonObject {
  return {
    used_percent: Math.min(100, Math.round(used * 100) / 100), limit_window_seconds: minutes * 60,
    reset_after_seconds: Math.max(0, resetAt - Math.floor(nowMs / SECOND_MS)), reset_at: resetAt,
  };
}

function percent(used: number): string {
  return String(Math.min(100, Math.round(used * 100) / 100));
}
