import { createHash } from 'node:crypto';

import { RelayError } from '../../src/core/errors.ts';
import type { ErrorBody } from '../../src/core/errors.ts';
import type { JsonObject, JsonValue } from '../../src/core/json.ts';
import type { Dialect } from '../../src/core/provider-kind.ts';
import type { HubRequest } from '../../src/wire/messages-to-responses.ts';
import { messagesToResponses } from '../../src/wire/messages-to-responses.ts';
import { prepareRequest } from '../../src/wire/prepare-request.ts';
import type { AnswerPlan, PreparedRequest, RequestMemory, Target } from '../../src/wire/prepared-request.ts';
import { EMPTY_MEMORY, targetOf } from './request-fixtures.ts';
import { planFor } from './run-passage.ts';

const digest = (text: string): string => createHash('sha256').update(text).digest('hex');

/** A Messages body with one word of a user's and what else is given, in the hub's words. */
export function toHub(members: JsonObject = {}): HubRequest {
  return messagesToResponses({ model: 'gpt-x', max_tokens: 1_000, messages: [{ role: 'user', content: 'x' }], ...members }, digest);
}

/** The input items that a conversation becomes. */
export function itemsOf(messages: JsonValue[], members: JsonObject = {}): JsonValue {
  return toHub({ messages, ...members }).body['input'] ?? null;
}

/** A Messages request prepared for an upstream. */
export function prepareMessages(
  members: JsonObject, dialect: Dialect, changes: Partial<Target> = {}, memory: RequestMemory = EMPTY_MEMORY,
): PreparedRequest {
  const { body, origin } = toHub(members);
  return prepareRequest({
    clientWire: 'messages', bodyWire: 'responses', endpoint: 'messages', body, stream: members['stream'] === true, isCodex: false, messages: origin,
  }, targetOf(dialect, changes), memory);
}

/** What a body was refused with; fails when it was not. */
export function refusal(refused: () => unknown): ErrorBody {
  try {
    refused();
  } catch (error) {
    if (error instanceof RelayError && error.status === 400) return error.body;
    throw error;
  }
  throw new Error('it was not refused');
}

/** A plan of a Messages client; thinking is shown unless said. */
export function messagesPlan(plan: Partial<AnswerPlan> = {}, thinking: 'shown' | 'omitted' | 'off' = 'shown'): AnswerPlan {
  return planFor({
    clientWire: 'messages', messages: { dropped: [], stop: plan.stop ?? [], toolNames: {}, callIds: {}, thinking, inputTokens: 7 }, ...plan,
  });
}
