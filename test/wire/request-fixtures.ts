import { createHash } from 'node:crypto';

import type { ErrorBody } from '../../src/core/errors.ts';
import { RelayError } from '../../src/core/errors.ts';
import type { JsonObject } from '../../src/core/json.ts';
import type { Dialect } from '../../src/core/provider-kind.ts';
import type { ClientCall, PreparedRequest, RequestMemory, Target } from '../../src/wire/prepared-request.ts';
import { prepareRequest } from '../../src/wire/prepare-request.ts';

/** A memory that knows nothing. */
export const EMPTY_MEMORY: RequestMemory = {
  storedResponse: () => undefined,
  reasoningFor: () => undefined,
  digest: (text) => createHash('sha256').update(text).digest('hex'),
};

/** The platform, unless said otherwise; `codex` answers streams only. */
export function targetOf(dialect: Dialect, changes: Partial<Target> = {}): Target {
  const wire = dialect === 'openai' || dialect === 'codex' ? 'responses' : 'chat';
  return { wire, dialect, model: 'gpt-x', streamOnly: dialect === 'codex', efforts: [], strict: false, ...changes };
}

/** A chat client's call. */
export function chatCall(body: JsonObject, changes: Partial<ClientCall> = {}): ClientCall {
  return { clientWire: 'chat', bodyWire: 'chat', endpoint: 'chat', body, stream: body['stream'] === true, isCodex: false, ...changes };
}

/** A Responses client's call. */
export function responsesCall(body: JsonObject, changes: Partial<ClientCall> = {}): ClientCall {
  return {
    clientWire: 'responses', bodyWire: 'responses', endpoint: 'responses', body, stream: body['stream'] === true, isCodex: false,
    ...changes,
  };
}

/** A chat body with one user message and what else is given, prepared for a dialect. */
export function prepareChat(members: JsonObject, dialect: Dialect, changes: Partial<Target> = {}): PreparedRequest {
  const body = { model: 'gpt-x', messages: [{ role: 'user', content: 'x' }], ...members };
  return prepareRequest(chatCall(body), targetOf(dialect, changes), EMPTY_MEMORY);
}

/** A Responses body with one word of input and what else is given, prepared for a dialect. */
export function prepareResponses(members: JsonObject, dialect: Dialect, changes: Partial<Target> = {}): PreparedRequest {
  return prepareRequest(responsesCall({ model: 'gpt-x', input: 'x', ...members }), targetOf(dialect, changes), EMPTY_MEMORY);
}

/** What a preparation was refused with; fails when it was not. */
export function refusalOf(prepare: () => PreparedRequest): ErrorBody {
  try {
    prepare();
  } catch (error) {
    if (error instanceof RelayError && error.status === 400) return error.body;
    throw error;
  }
  throw new Error('it was not refused');
}
