import { describe, expect, test } from 'vitest';

import type { JsonObject } from '../../src/core/json.ts';
import { arrayAt, isJsonObject, objectAt, parseJsonObject, stringAt } from '../../src/core/json.ts';
import { createPassage } from '../../src/wire/create-passage.ts';
import type { AnswerPlan } from '../../src/wire/prepared-request.ts';
import { errorOfFailure } from '../../src/wire/stream-failure.ts';
import type { Golden, Translated } from '../support/golden.ts';
import { goldenCases, goldenChunks, judge, spelledOut } from '../support/golden.ts';
import { bytesOf, planFor, runPassage, testDeps } from './run-passage.ts';

const TRUNCATED = {
  message: 'The upstream ended its answer early.',
  type: 'server_error',
  param: null,
  code: 'upstream_stream_truncated',
} as const;

/** What the request side would have remembered of a golden case. */
function planOf(golden: Golden): AnswerPlan {
  const [kind, direction = ''] = golden.direction.split('/');
  const toChat = direction.startsWith('responses-to-chat');
  const tools = (arrayAt(golden.input['request'], 'tools') ?? []).filter(isJsonObject).filter((tool) => tool['type'] === 'custom');
  return planFor({
    clientWire: kind === 'aggregate' || !toChat ? 'responses' : 'chat',
    upstreamWire: kind === 'aggregate' || toChat ? 'responses' : 'chat',
    dialect: golden.profile === 'codex' ? 'codex' : golden.profile === 'gemini' ? 'gemini' : 'chat-generic',
    clientStream: direction.endsWith('-stream'),
    upstreamStream: golden.input['body'] === undefined,
    includeUsage: golden.input['include_usage'] === true,
    customTools: Object.fromEntries(
      tools.map((tool) => {
        const flat = stringAt(tool, 'name');
        return [flat ?? stringAt(objectAt(tool, 'custom'), 'name') ?? '', toChat ? (flat === undefined ? 'nested' : 'flat') : 'wrapped'];
      }),
    ),
  });
}

function translate(golden: Golden): Translated {
  const plan = planOf(golden);
  const passage = createPassage(plan, testDeps());
  const { body } = golden.input;
  const told = runPassage(passage, body === undefined ? goldenChunks(golden) : [bytesOf(JSON.stringify(body))]);
  const { failure, terminal } = passage.seen;
  if (plan.clientStream)
    return { sse: terminal === null ? told.text + new TextDecoder().decode(passage.errorFrame(TRUNCATED)) : told.text };
  if (failure) {
    const error = errorOfFailure(failure);
    return { error: { status: error.status, error: { ...error.body } } };
  }
  if (terminal === null) return { error: { status: 502, error: { ...TRUNCATED } } };
  const whole: JsonObject = parseJsonObject(told.text) ?? {};
  return { body: whole, final: whole };
}

describe('the golden answers', () => {
  for (const golden of [...goldenCases('response/'), ...goldenCases('aggregate/')]) {
    test(golden.name, () => {
      expect(judge(spelledOut(golden), translate(golden))).toEqual([]);
    });
  }
});
