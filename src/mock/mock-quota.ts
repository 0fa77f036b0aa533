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

/** An account's two quota windows. They move with use, empty at their reset, and a full one makes ChatGPT refuse. */
export interface MockQuota {
  primaryPercent: number;
  secondaryPercent: number;
  /** Counts one served call. */
  spend(): void;
  headers(): Readonly<Record<string, string>>;
  /** The refusal of a full window; null while there is room. */
  refusal(): RefuseStep | null;
  /** What `GET /wham/usage` answers. */
  report(who: QuotaHolder): JsonObject;
}

interface QuotaHolder {
  readonly userId: string | null;
  readonly workspaceId: string | null;
  readonly email: string | null;
}

interface QuotaSpec {
  readonly kind: string;
  readonly plan?: string;
  readonly quota?: { readonly primaryPercent?: number; readonly secondaryPercent?: number };
}

/** Windows that begin now, as used as the account says. */
export function createMockQuota(spec: QuotaSpec, clock: Clock): MockQuota {
  const plan = spec.plan ?? 'plus';
  const primary = createWindow(PRIMARY_MINUTES, spec.quota?.primaryPercent ?? 4, clock);
  const secondary = createWindow(SECONDARY_MINUTES, spec.quota?.secondaryPercent ?? 2, clock);
  const headers = (): Readonly<Record<string, string>> => (spec.kind === 'api-key' ? {} : {
    ...windowHeaders('primary', primary), ...windowHeaders('secondary', secondary),
    'x-codex-active-limit': 'codex', 'x-codex-plan-type': plan,
    'x-codex-credits-has-credits': 'false', 'x-codex-credits-unlimited': 'false',
  });
  const refusal = (): RefuseStep | null => {
    const full = [secondary, primary].find(({ percent }) => percent >= 100);
    if (full === undefined || spec.kind !== 'chatgpt') return null;
    const said = { resetsAt: full.resetsAtSeconds, resetsInSeconds: full.resetsInSeconds, plan, windowMinutes: full.minutes };
    return { ...usageLimited(said), headers: headers() };
  };
  return {
    get primaryPercent() {
      return primary.percent;
    },
    set primaryPercent(percent) {
      primary.percent = percent;
    },
    get secondaryPercent() {
      return secondary.percent;
    },
    set secondaryPercent(percent) {
      secondary.percent = percent;
    },
    spend() {
      primary.percent += spec.kind === 'open' ? Math.max(0, OPEN_CEILING - primary.percent) / 400 : 0.2;
      secondary.percent += spec.kind === 'open' ? Math.max(0, OPEN_CEILING - secondary.percent) / 2_000 : 0.04;
    },
    headers,
    refusal,
    report: ({ userId, workspaceId, email }) => {
      const spent = refusal() !== null;
      return {
        user_id: userId, account_id: workspaceId, email, plan_type: plan,
        rate_limit: {
          allowed: !spent, limit_reached: spent, primary_window: windowReport(primary), secondary_window: windowReport(secondary),
        },
        additional_rate_limits: [], credits: { has_credits: false, unlimited: false, balance: null }, rate_limit_reached_type: null,
      };
    },
  };
}

interface Window {
  readonly minutes: number;
  percent: number;
  readonly resetsAtSeconds: number;
  readonly resetsInSeconds: number;
}

/** A window that starts over, empty, whenever its length has passed. */
function createWindow(minutes: number, usedPercent: number, clock: Clock): Window {
  const length = minutes * MINUTE_MS;
  let percent = usedPercent;
  let endsAt: EpochMs = clock.now() + length;
  const roll = (): void => {
    if (clock.now() < endsAt) return;
    endsAt += Math.ceil((clock.now() - endsAt + 1) / length) * length;
    percent = 0;
  };
  return {
    minutes,
    get percent() {
      roll();
      return percent;
    },
    set percent(used) {
      roll();
      percent = used;
    },
    get resetsAtSeconds() {
      roll();
      return Math.ceil(endsAt / SECOND_MS);
    },
    get resetsInSeconds() {
      roll();
      return Math.ceil((endsAt - clock.now()) / SECOND_MS);
    },
  };
}

function windowHeaders(slot: string, window: Window): Readonly<Record<string, string>> {
  return {
    [`x-codex-${slot}-used-percent`]: String(shown(window.percent)),
    [`x-codex-${slot}-window-minutes`]: String(window.minutes),
    [`x-codex-${slot}-reset-at`]: String(window.resetsAtSeconds),
  };
}

function windowReport(window: Window): JsonObject {
  return {
    used_percent: shown(window.percent), limit_window_seconds: window.minutes * 60,
    reset_after_seconds: window.resetsInSeconds, reset_at: window.resetsAtSeconds,
  };
}

function shown(percent: number): number {
  return Math.min(100, Math.round(percent * 100) / 100);
}
