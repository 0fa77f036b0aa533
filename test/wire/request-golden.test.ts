import { describe, expect, test } from 'vitest';

import { RelayError } from '../../src/core/errors.ts';
import type { JsonObject } from '../../src/core/json.ts';
import { arrayAt, objectAt, stringAt } from '../../src/core/json.ts';
import type { Dialect } from '../../src/core/provider-kind.ts';
import { prepareRequest } from '../../src/wire/prepare-request.ts';
import type { PreparedRequest, RequestMemory } from '../../src/wire/prepared-request.ts';
import type { Golden, Translated } from '../support/golden.ts';
import { goldenCases, judge } from '../support/golden.ts';
import { chatCall, EMPTY_MEMORY, responsesCall, targetOf } from './request-fixtures.ts';

const DIALECTS: Readonly<Record<string, Dialect>> = {
  openai: 'openai', codex: 'codex', 'chat-generic': 'chat-generic', deepseek: 'deepseek', gemini: 'gemini',
};

function prepareGolden({ direction, profile, input }: Golden): PreparedRequest {
  const body = objectAt(input, 'body') ?? {};
  const dialect = DIALECTS[profile] ?? 'openai';
  const model = stringAt(body, 'model') ?? '';
  const levels = arrayAt(objectAt(objectAt(input, 'catalog'), model), 'supported_reasoning_levels') ?? [];
  const wire = direction === 'request/responses-to-chat' ? 'chat' : 'responses';
  const target = targetOf(dialect, { wire, model, efforts: levels.filter((level) => typeof level === 'string') });
  const call = direction === 'request/chat-to-responses' ? chatCall(body)
    : responsesCall(body, direction === 'request/chat-path-responses-body' ? { clientWire: 'chat', endpoint: 'chat' } : {});
  const memory: RequestMemory = { ...EMPTY_MEMORY, storedResponse: (id) => stored(objectAt(objectAt(input, 'state'), id)) };
  return prepareRequest(call, target, memory);
}

function stored(response: JsonObject | undefined): ReturnType<RequestMemory['storedResponse']> {
  return response && { input: arrayAt(response, 'input') ?? [], output: arrayAt(response, 'output') ?? [] };
}

function translate(golden: Golden): Translated {
  try {
    const { body, dropped } = prepareGolden(golden);
    return { body, dropped };
  } catch (error) {
    if (!(error instanceof RelayError)) throw error;
    return { error: { status: error.status, error: { ...error.body } } };
  }
}

describe('the golden requests', () => {
  test.each(goldenCases('request/').map((golden) => [golden.name, golden] as const))('%s', (_name, golden) => {
    expect(judge(golden, translate(golden))).toEqual([]);
  });

  test('a Responses body on the chat path is answered in chat chunks, with the usage chunk it asked for', () => {
    const [golden] = goldenCases('request/chat-path-responses-body');
    if (!golden) throw new Error('the case is missing');
    expect(prepareGolden(golden).answer).toMatchObject({
      clientWire: 'chat', upstreamWire: 'responses', includeUsage: golden.expected['include_usage'], native: false,
    });
  });
});
