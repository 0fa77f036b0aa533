import type { JsonObject, JsonValue } from '../core/json.ts';
import { stringAt } from '../core/json.ts';
import type { Clock } from '../core/ports.ts';
import { HOUR_MS } from '../core/units.ts';
import { jsonSize } from './json-size.ts';
import { createRecentMap } from './recent-map.ts';

/** Whose reasoning it is. Ciphertext is worth nothing at another account or model, and no client gets another's. */
export interface ReplayScope {
  readonly clientId: string;
  readonly accountId: string;
  readonly model: string;
}

/**
 * Reasoning that stood before a tool call, by the call's id: a chat client's wire has no place for it, so that a model
 * would have to think all over again after every tool. In memory alone, bounded.
 */
export interface ReasoningReplay {
  /** Takes an answer's output items. Only reasoning that comes back sealed is of use. */
  learn(scope: ReplayScope, items: readonly JsonObject[]): void;
  before(scope: ReplayScope, callId: string): readonly JsonValue[] | undefined;
  /** The upstream would not have it: it is not sent again. */
  forget(scope: ReplayScope, callId: string): void;
  readonly size: number;
}

const BOUNDS = { count: 4_096, bytes: 33_554_432, idleMs: HOUR_MS };

/** Nothing learned yet. */
export function createReasoningReplay(clock: Clock, bounds = BOUNDS): ReasoningReplay {
  const calls = createRecentMap<readonly JsonValue[]>(clock, bounds);
  return {
    learn(scope, items) {
      let thought: JsonObject[] = [];
      let wasCall = false;
      for (const item of items) {
        const callId = stringAt(item, 'call_id');
        if (stringAt(item, 'type') === 'reasoning') {
          if (stringAt(item, 'encrypted_content') === undefined) continue;
          thought = wasCall ? [item] : [...thought, item];
          wasCall = false;
        } else if (callId !== undefined) {
          wasCall = true;
          if (thought.length > 0) calls.set(keyOf(scope, callId), thought, jsonSize(thought));
        }
      }
    },
    before: (scope, callId) => calls.get(keyOf(scope, callId)),
    forget(scope, callId) {
      calls.delete(keyOf(scope, callId));
    },
    get size() {
      return calls.size;
    },
  };
}

function keyOf({ clientId, accountId, model }: ReplayScope, callId: string): string {
  return JSON.stringify([clientId, accountId, model, callId]);
}
