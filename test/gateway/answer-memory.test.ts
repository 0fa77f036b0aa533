import { describe, expect, test } from 'vitest';

import type { Account } from '../../src/core/account.ts';
import type { JsonObject } from '../../src/core/json.ts';
import { arrayAt } from '../../src/core/json.ts';
import type { RelayRequest } from '../../src/core/relay-request.ts';
import type { AnswerMemory, FinishedAnswer } from '../../src/gateway/answer-memory.ts';
import { createAnswerMemory } from '../../src/gateway/answer-memory.ts';
import { createPassage } from '../../src/wire/create-passage.ts';
import { prepareRequest } from '../../src/wire/prepare-request.ts';
import { relayRequest } from '../providers/relay-request.ts';
import { accountNamed } from '../routing/builders.ts';
import { fakeClock } from '../support/fake-clock.ts';
import { chatCall, targetOf } from '../wire/request-fixtures.ts';
import { chatStream, chunkOf, responsesStream, runPassage, testDeps } from '../wire/run-passage.ts';

const memoryOf = (): AnswerMemory => createAnswerMemory({ clock: fakeClock(), digest: (text) => text.padEnd(32, '0') });
const PLATFORM = accountNamed('key', { kind: 'openai', provider: 'openai' });
const SIGN_IN = accountNamed('sign-in');
const GEMINI = accountNamed('google', { kind: 'gemini', provider: 'gemini' });

/** An answer of these bytes to a request, as the gateway hands it over when it is over. */
function finished(asked: RelayRequest, account: Account, answer: string, memory: AnswerMemory): FinishedAnswer {
  const wire = account.kind === 'gemini' ? 'chat' : 'responses';
  const dialect = account.kind === 'gemini' ? 'gemini' : account.kind === 'chatgpt' ? 'codex' : 'openai';
  const scope = { clientId: asked.client.id, account, model: 'm', ciphertext: 'kept' as const };
  const prepared = prepareRequest(asked, targetOf(dialect, { wire, model: 'm' }), memory.forAttempt(scope));
  const passage = createPassage(prepared.answer, testDeps());
  runPassage(passage, [answer]);
  return { request: asked, account, model: 'm', prepared, passage };
}

function request(body: JsonObject, change: Partial<RelayRequest> = {}): RelayRequest {
  return relayRequest({ model: 'm', body: { model: 'm', stream: true, ...body }, ...change });
}
const SAID = { type: 'message', id: 'msg_1', role: 'assistant', content: [] };
const told = (id: string): string => responsesStream([
  { type: 'response.created', response: { id, status: 'in_progress' } },
  { type: 'response.output_item.done', output_index: 0, item: SAID },
  { type: 'response.completed', response: { id, status: 'completed', output: [SAID] } },
]);

describe('how a request can go on from an answer', () => {
  type Row = readonly [name: string, body: JsonObject, maker: Account, asker: Account, expected: ReturnType<AnswerMemory['continuation']>];
  test.each<Row>([
    ['the platform that keeps it has only to be told the id', {}, PLATFORM, PLATFORM, 'passed-on'],
    ['another account of it is told everything', {}, PLATFORM, accountNamed('other', { kind: 'openai' }), 'written-out'],
    ['a sign-in is told everything', {}, PLATFORM, SIGN_IN, 'written-out'],
    ['a sign-in keeps nothing', {}, SIGN_IN, SIGN_IN, 'written-out'],
    ['what nobody was to keep is unknown to a sign-in', { store: false }, SIGN_IN, SIGN_IN, 'unknown'],
    ['what nobody was to keep is the platform\'s to refuse', { store: false }, PLATFORM, PLATFORM, 'passed-on'],
  ])('%s', (_name, body, maker, asker, expected) => {
    const memory = memoryOf();
    const made = request({ input: 'x', ...body });
    memory.keep(finished(made, maker, told('resp_1'), memory));
    expect(memory.continuation({ clientId: made.client.id, account: asker }, 'resp_1')).toBe(expected);
    const others = memory.continuation({ clientId: 'somebody else', account: SIGN_IN }, 'resp_1');
    expect(others).toBe('unknown');
  });

  test('another client\'s is unknown at the platform, too', () => {
    const memory = memoryOf();
    memory.keep(finished(request({ input: 'x' }), PLATFORM, told('resp_1'), memory));
    expect(memory.continuation({ clientId: 'somebody else', account: PLATFORM }, 'resp_1')).toBe('unknown');
  });

  test('what continues an answer only the platform knows is the platform\'s alone', () => {
    const memory = memoryOf();
    const made = request({ input: 'x', previous_response_id: 'resp_before' });
    memory.keep(finished(made, PLATFORM, told('resp_2'), memory));
    const { id: clientId } = made.client;
    expect(memory.isPortable(clientId, 'resp_2')).toBe(false);
    expect(memory.continuation({ clientId, account: PLATFORM }, 'resp_2')).toBe('passed-on');
    expect(memory.continuation({ clientId, account: accountNamed('other', { kind: 'openai' }) }, 'resp_2')).toBe('unknown');
    expect(memory.continuation({ clientId, account: SIGN_IN }, 'resp_2')).toBe('unknown');
  });

  test('a compaction that one account sealed stays with it, Relay\'s own does not', () => {
    for (const [encrypted_content, isPortable] of [['gAAAA', false], ['relay1.eyJyZWFzb25pbmdfY29udGVudCI6InMifQ', true]] as const) {
      const memory = memoryOf();
      const compaction = { type: 'compaction', id: 'cmp', encrypted_content };
      const response = { id: 'resp_1', status: 'completed', output: [compaction] };
      const stream = responsesStream([{ type: 'response.completed', response }]);
      const made = request({ input: 'x' });
      memory.keep(finished(made, SIGN_IN, stream, memory));
      expect(memory.isPortable(made.client.id, 'resp_1')).toBe(isPortable);
    }
  });
});

describe('what is kept', () => {
  test.each<[string, Partial<RelayRequest>, JsonObject, boolean]>([
    ['an answer to a Responses client', {}, {}, true],
    ['not where it said so', {}, { store: false }, false],
    ['not a compaction', { endpoint: 'compact' }, {}, false],
    ['not an answer to a chat client', { endpoint: 'chat', clientWire: 'chat' }, {}, false],
  ])('%s', (_name, change, body, isKept) => {
    const memory = memoryOf();
    const answer = finished(request({ input: 'x', ...body }, change), SIGN_IN, told('resp_1'), memory);
    expect(memory.keep(answer)).toBe(isKept ? 'resp_1' : null);
    expect(memory.responses.size).toBe(isKept ? 1 : 0);
  });

  test('an answer that did not end well is not', () => {
    const memory = memoryOf();
    const response = { id: 'resp_1', status: 'failed', error: { code: 'server_error', message: 'x' } };
    const broken = responsesStream([{ type: 'response.failed', response }]);
    expect(memory.keep(finished(request({ input: 'x' }), SIGN_IN, broken, memory))).toBeNull();
  });

  test('of Codex on its own wire nothing at all, and its stream passes byte for byte', () => {
    const memory = memoryOf();
    const codex = request({ input: [{ type: 'message', role: 'user', content: [] }], store: false }, { isCodex: true });
    const answer = finished(codex, SIGN_IN, told('resp_1'), memory);
    memory.learn(answer);
    expect([memory.keep(answer), memory.responses.size, answer.passage.items()]).toEqual([null, 0, []]);
  });
});

describe('Gemini\'s signature comes back to a chat client\'s next turn', () => {
  const call = { id: 'call_1', type: 'function', function: { name: 'f', arguments: '{}' } };
  const signed = { index: 0, ...call, extra_content: { google: { thought_signature: 'sig' } } };
  const stream = chatStream([chunkOf({ tool_calls: [signed] }), chunkOf({}, 'tool_calls')]);
  const history: JsonObject[] = [
    { role: 'user', content: 'x' },
    { role: 'assistant', content: null, tool_calls: [call] },
    { role: 'tool', tool_call_id: 'call_1', content: 'y' },
  ];

  test.each([['m', 'sig'], ['another model', 'skip_thought_signature_validator']])('with model %s: %s', (model, signature) => {
    const memory = memoryOf();
    const body = { model: 'm', stream: true, messages: [{ role: 'user', content: 'x' }] };
    const asked = request(body, { endpoint: 'chat', clientWire: 'chat', bodyWire: 'chat' });
    memory.learn(finished(asked, GEMINI, stream, memory));
    const scope = { clientId: asked.client.id, account: GEMINI, model, ciphertext: 'kept' as const };
    const { body: sent } = prepareRequest(chatCall({ model, messages: history }), targetOf('gemini', { model }), memory.forAttempt(scope));
    expect(arrayAt(sent, 'messages')?.[1]).toMatchObject({ tool_calls: [{ extra_content: { google: { thought_signature: signature } } }] });
  });
});
