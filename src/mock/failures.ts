import {
  challenge,
  cut,
  failed,
  hang,
  modelRefused,
  ok,
  rateLimited,
  refuse,
  reset,
  unauthorized,
  usageLimited,
  wrongType,
} from './steps.ts';
import type { MockStep } from './steps.ts';

/** When a failure is made: it tells the time of a reset by it. */
interface Moment {
  readonly nowMs: number;
}

/**
 * The failures `relay mock fail WHAT` can put an account into, by name. Each makes the step that every call at that
 * account meets.
 */
export const MOCK_FAILURES = {
  '429': () => rateLimited({ retryAfter: '7' }),
  'rate-limit': () => rateLimited(),
  quota: ({ nowMs }: Moment) => usageLimited({ resetsAt: Math.floor(nowMs / 1_000) + 3_600, resetsInSeconds: 3_600 }),
  '401': () => unauthorized(),
  '402': () =>
    refuse(402, { error: { message: 'Insufficient Balance', type: 'unknown_error', param: null, code: 'invalid_request_error' } }),
  '403': () =>
    refuse(403, {
      error: { message: 'This account may not use the API.', type: 'invalid_request_error', param: null, code: 'account_deactivated' },
    }),
  model: () => modelRefused('relay-mini'),
  '500': () => failed(500),
  '502': () => failed(502),
  '503': () => failed(503, 'server_is_overloaded'),
  '504': () => failed(504),
  '529': () => failed(529, 'overloaded_error'),
  challenge: () => challenge(),
  html: () => wrongType(),
  garbage: () => ok({ body: '{"id":"resp_', frames: ['data: {"type":"resp\n\n', 'data: not json\n\n'] }),
  hang: () => hang('before-headers'),
  'hang-mid-stream': () => hang({ afterDeltas: 2 }),
  reset: () => reset('before-headers'),
  'cut-mid-stream': () => cut({ afterDeltas: 2 }),
  slow: () => ok({ drip: { bytes: 1, everyMs: 2_000 } }),
} as const satisfies Record<string, (moment: Moment) => MockStep>;

export type MockFailure = keyof typeof MOCK_FAILURES;

/** True for a name of {@link MOCK_FAILURES}. */
export function isMockFailure(name: string): name is MockFailure {
  return Object.hasOwn(MOCK_FAILURES, name);
}
