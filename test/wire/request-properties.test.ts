import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { RelayError } from '../../src/core/errors.ts';
import type { JsonObject } from '../../src/core/json.ts';
import { arrayAt, isJsonObject, stringAt } from '../../src/core/json.ts';
import { prepareRequest } from '../../src/wire/prepare-request.ts';
import type { ClientCall, Target } from '../../src/wire/prepared-request.ts';
import { body, chatHistory, history, memory, shape, target } from './request-arbitraries.ts';
import { chatCall, EMPTY_MEMORY, responsesCall } from './request-fixtures.ts';

/** JSON as a parser gives it: own members only, whatever they are called. */
function parsed(value: unknown): JsonObject {
  const again: unknown = JSON.parse(JSON.stringify(value));
  return isJsonObject(again) ? again : {};
}

function attempt(call: ClientCall, upstream: Target): ReturnType<typeof prepareRequest> | RelayError {
  try {
    return prepareRequest(call, upstream, memory);
  } catch (error) {
    if (error instanceof RelayError) return error;
    throw error;
  }
}

describe('whatever a client sends', () => {
  test('it is prepared, or refused with a 400 that names the parameter; nothing else is thrown', () => {
    fc.assert(fc.property(shape, body, target, (rest, value, upstream) => {
      const outcome = attempt({ ...rest, body: parsed(value) }, upstream);
      if (!(outcome instanceof RelayError)) return;
      expect(outcome.status).toBe(400);
      expect(outcome.body.param).toEqual(expect.any(String));
    }), { numRuns: 3_000 });
  });

  test('the body it came as is never changed', () => {
    fc.assert(fc.property(shape, body, target, (rest, value, upstream) => {
      const given = parsed(value);
      const before = JSON.stringify(given);
      attempt({ ...rest, body: given }, upstream);
      expect(JSON.stringify(given)).toBe(before);
    }), { numRuns: 1_000 });
  });

  test('the same request is prepared the same way twice', () => {
    fc.assert(fc.property(shape, body, target, (rest, value, upstream) => {
      const first = attempt({ ...rest, body: parsed(value) }, upstream);
      const second = attempt({ ...rest, body: parsed(value) }, upstream);
      expect(JSON.stringify(second)).toBe(JSON.stringify(first));
    }), { numRuns: 500 });
  });

  test('an unchanged request is the very body that came, and a changed one says something else', () => {
    fc.assert(fc.property(shape, body, target, (rest, value, upstream) => {
      const given = parsed(value);
      const outcome = attempt({ ...rest, body: given }, upstream);
      if (outcome instanceof RelayError) return;
      expect(outcome.changed).toBe(outcome.body !== given);
      expect(outcome.dropped).toEqual([...outcome.dropped].toSorted());
    }), { numRuns: 1_000 });
  });

  test('in strict mode nothing is dropped', () => {
    fc.assert(fc.property(shape, body, target, (rest, value, upstream) => {
      const outcome = attempt({ ...rest, body: parsed(value) }, { ...upstream, strict: true });
      if (!(outcome instanceof RelayError)) expect(outcome.dropped).toEqual([]);
    }), { numRuns: 1_000 });
  });

  test('what is sent to a chat upstream keeps its rules: calls are answered right behind, and by nothing else', () => {
    fc.assert(fc.property(history, target, (input, upstream) => {
      const sent = prepareRequest(responsesCall({ model: 'm', input }), { ...upstream, wire: 'chat', strict: false }, EMPTY_MEMORY).body;
      const open: unknown[] = [];
      for (const made of arrayAt(sent, 'messages') ?? []) {
        if (stringAt(made, 'role') === 'tool') {
          expect(open.shift()).toBe(stringAt(made, 'tool_call_id'));
          continue;
        }
        expect(open).toEqual([]);
        const ids = (arrayAt(made, 'tool_calls') ?? []).map((one) => stringAt(one, 'id'));
        expect(new Set(ids).size).toBe(ids.length);
        open.push(...ids);
      }
      expect(open).toEqual([]);
    }), { numRuns: 1_000 });
  });

  test('no word of a Responses history is lost on the way to a chat upstream, nor told twice', () => {
    fc.assert(fc.property(history, target, (input, upstream) => {
      const numbered = input.map((given, index) => ('content' in given || 'output' in given ? relabelled(given, `<${index}>`) : given));
      const call = responsesCall({ model: 'm', input: numbered });
      const sent = prepareRequest(call, { ...upstream, wire: 'chat', strict: false }, EMPTY_MEMORY).body;
      const told = [...JSON.stringify(sent['messages']).matchAll(/<(\d+)>/g)].map((found) => Number(found[1]));
      const wanted = numbered.flatMap((given, index) => ('content' in given || 'output' in given ? [index] : []));
      expect(told.toSorted((left, right) => left - right)).toEqual(wanted);
    }), { numRuns: 1_000 });
  });

  test('what is sent to a Responses upstream keeps its rules: short ids and names, answers only to calls', () => {
    fc.assert(fc.property(chatHistory, target, (messages, upstream) => {
      const sent = prepareRequest(chatCall({ model: 'm', messages }), { ...upstream, wire: 'responses', strict: false }, EMPTY_MEMORY).body;
      const called = new Set<unknown>();
      for (const made of arrayAt(sent, 'input') ?? []) {
        const callId = stringAt(made, 'call_id');
        expect(callId?.length ?? 0).toBeLessThanOrEqual(64);
        expect(stringAt(made, 'name')?.length ?? 0).toBeLessThanOrEqual(64);
        if (stringAt(made, 'type') === 'function_call') called.add(callId);
        if (stringAt(made, 'type') === 'function_call_output') expect(called.has(callId)).toBe(true);
        if (upstream.dialect === 'codex') expect(stringAt(made, 'role')).not.toBe('system');
      }
      expect(sent['store']).toBe(false);
    }), { numRuns: 1_000 });
  });
});

function relabelled(given: JsonObject, label: string): JsonObject {
  return 'output' in given ? { ...given, output: label } : { ...given, content: label };
}
