import { describe, expect, test } from 'vitest';

import { objectAt, stringAt } from '../../src/core/json.ts';
import { serveInProcess, SIGN_IN_MODEL } from '../support/serve-in-process.ts';
import { openSocket, typesOf } from '../support/socket-client.ts';

describe('an answer over the WebSocket', () => {
  test('is the events of the stream, one message each, and a line in the journal', async () => {
    const relay = await serveInProcess();
    const client = await openSocket(relay);
    const told = await client.answer({ type: 'response.create', model: SIGN_IN_MODEL, input: 'Say hello' });
    expect(typesOf(told)[0]).toBe('response.created');
    expect(typesOf(told).at(-1)).toBe('response.completed');
    expect(JSON.stringify(told.at(-1))).toContain('Say hello');
    const lines = await relay.journal();
    expect(lines).toMatchObject([{ endpoint: 'responses', stream: true, outcome: 'ok' }]);
    const id = stringAt(objectAt(told.at(-1), 'response'), 'id') ?? '';
    const next = await client.answer({ type: 'response.create', model: SIGN_IN_MODEL, input: 'Say more', previous_response_id: id });
    expect(typesOf(next).at(-1)).toBe('response.completed');
  });
});
