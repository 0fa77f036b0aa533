import { createHmac } from 'node:crypto';

import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import type { JsonObject } from '../../src/core/json.ts';
import type { StickyInput } from '../../src/routing/sticky-key.ts';
import { isOwnerBound, modelClass, stickyKey, stickyKeys } from '../../src/routing/sticky-key.ts';
import { createStickySessions } from '../../src/routing/sticky-sessions.ts';
import { NOON } from './builders.ts';

const digest = (text: string): string => createHmac('sha256', 'local').update(text).digest('hex');
const inputOf = (body: JsonObject, headers: Record<string, string> = {}, changes: Partial<StickyInput> = {}): StickyInput =>
  ({ headers, body, clientId: 'cl_1', model: 'gpt-6-sol', digest, ...changes });
const sourcesOf = (body: JsonObject, headers: Record<string, string> = {}): string[] =>
  stickyKeys(inputOf(body, headers)).map(({ source }) => source);
const chat = (user: unknown, system = 'be brief'): JsonObject =>
  ({ messages: [{ role: 'system', content: system }, { role: 'user', content: user as string }] });

describe('stickyKeys', () => {
  test('stand in the order of their strength', () => {
    const body: JsonObject = {
      previous_response_id: 'resp_1', prompt_cache_key: 'k', client_metadata: { session_id: 'm' },
      input: [{ role: 'user', content: [{ type: 'input_file', file_id: 'file_1' }, { type: 'input_text', text: 'hello' }] }],
    };
    const headers = { 'x-codex-turn-state': 'ts', 'thread-id': 't', 'session-id': 's', 'x-session-affinity': 'o' };
    expect(sourcesOf(body, headers)).toEqual(['turn-state', 'previous-response', 'file', 'thread', 'session', 'cache-key', 'metadata',
      'client-header']);
  });

  test.each([
    [{ session_id: 's' }, 'session'], [{ 'x-codex-session-id': 's' }, 'session'], [{ conversation_id: 's' }, 'thread'],
      [{ 'x-codex-conversation-id': 's' }, 'thread'],
    [{ 'x-session-id': 's' }, 'client-header'], [{ 'thread-id': ' ', 'session-id': 's' }, 'session'],
  ])('older spellings: %o', (headers, source) => {
    expect(sourcesOf(chat('hello'), headers as Record<string, string>)).toEqual([source]);
  });

  test('one id is one key, wherever it stands', () => {
    const keys = stickyKeys(inputOf({ prompt_cache_key: 'same', client_metadata: { thread_id: 'same' } }, { 'thread-id': 'same' }));
    expect(keys).toHaveLength(1);
    expect(stickyKey(inputOf({ prompt_cache_key: 'same' }))?.key).toBe(keys[0]?.key);
  });

  test('a subagent is found by the thread it came from, then by its session', () => {
    const parent = stickyKeys(inputOf({}, { 'thread-id': 'parent', 'session-id': 's' })).map(({ key }) => key);
    const child = stickyKeys(inputOf({}, { 'thread-id': 'child', 'x-codex-parent-thread-id': 'parent',
      'session-id': 's' })).map(({ key }) => key);
    expect(child[0]).not.toBe(parent[0]);
    expect(child).toContain(parent[0]);
    expect(child.at(-1)).toBe(parent.at(-1));
  });

  test('ids of two clients never meet, and nothing of them stands in a key', () => {
    const key = stickyKey(inputOf({ prompt_cache_key: 'secret-project' }))?.key;
    expect(stickyKey(inputOf({ prompt_cache_key: 'secret-project' }, {}, { clientId: 'cl_2' }))?.key).not.toBe(key);
    expect(key).toMatch(/^[0-9a-f]{64}$/);
  });

  test('the fingerprint stands only where nothing else does, and is the same turn after turn', () => {
    const first = stickyKey(inputOf(chat('fix the build')));
    const later = stickyKey(inputOf({ messages: [...(chat('fix the build')['messages'] as JsonObject[]),
      { role: 'assistant', content: 'done' }, { role: 'user', content: 'thanks' }] }));
    expect(first?.source).toBe('fingerprint');
    expect(later).toEqual(first);
    expect(sourcesOf({ ...chat('fix the build'), prompt_cache_key: 'k' })).toEqual(['cache-key']);
  });

  test('conversations with one system prompt and another first question are different', () => {
    const keys = ['fix the build', 'write a test', 'why?'].map((text) => stickyKey(inputOf(chat(text)))?.key);
    expect(new Set(keys).size).toBe(3);
    expect(stickyKey(inputOf(chat('fix the build', 'other rules')))?.key).not.toBe(keys[0]);
    expect(stickyKey(inputOf(chat('fix the build'), {}, { model: 'gpt-6-luna' }))?.key).not.toBe(keys[0]);
  });

  test.each<readonly [string, JsonObject]>([
    ['no message', {}], ['an empty input', { input: [] }], ['only instructions', { instructions: 'be brief' }],
      ['a picture alone', chat([{ type: 'image_url' }])],
    ['blank text', { input: '  ' }], ['only a system message', { messages: [{ role: 'system', content: 'x' }] }],
  ])('unknown is not the same as equal: %s has no key', (_name, body) => {
    expect(stickyKeys(inputOf(body))).toEqual([]);
    expect(stickyKey(inputOf(body))).toBeNull();
  });

  test('the same first text is the same conversation on both wires', () => {
    const parts = { input: [{ role: 'developer', content: 'be brief' },
      { role: 'user', content: [{ type: 'input_text', text: 'hello' }] }] };
    expect(stickyKey(inputOf(parts))).toEqual(stickyKey(inputOf(chat('hello'))));
    expect(stickyKey(inputOf({ instructions: 'be brief', input: 'hello' }))).toEqual(stickyKey(inputOf(chat('hello'))));
  });

  test('whatever a body holds, reading it neither throws nor takes an oversized id', () => {
    fc.assert(fc.property(fc.dictionary(fc.constantFrom('input', 'messages', 'instructions', 'prompt_cache_key', 'client_metadata',
      'metadata', 'previous_response_id'), fc.jsonValue()), (body) => {
      expect(stickyKeys(inputOf(JSON.parse(JSON.stringify(body)) as JsonObject)).length).toBeLessThan(20);
    }));
    expect(stickyKeys(inputOf({ prompt_cache_key: 'x'.repeat(5_000) }))).toEqual([]);
  });

  test('only an upstream response or file binds to its owner', () => {
    expect((['previous-response', 'file', 'turn-state', 'thread', 'fingerprint'] as const).map(isOwnerBound)).toEqual([true, true, false,
      false, false]);
  });

  test.each([['openai/gpt-6-sol-2026-09-01', 'gpt-6-sol'], ['gpt-6-sol', 'gpt-6-sol'], ['models/Gemini-3-pro', 'gemini-3-pro'],
    ['claude-x-20260901', 'claude-x']])('%s is of class %s', (model, expected) => {
    expect(modelClass(model)).toBe(expected);
  });
});

describe('sticky sessions', () => {
  const limits = { capacity: 3, idleMs: 1_800_000 };

  test('a conversation stays for half an hour of silence, and each use renews it', () => {
    const sessions = createStickySessions([], limits);
    sessions.remember(['k'], 'a', NOON);
    expect(sessions.lookup(['k'], NOON + 1_799_999)).toBe('a');
    expect(sessions.lookup(['k'], NOON + 1_799_999 + 1_799_999)).toBe('a');
    expect(sessions.lookup(['k'], NOON + 3_599_998 + 1_800_000)).toBeNull();
    expect(sessions.size).toBe(0);
  });

  test('after a move it is found where it moved to: no flapping back', () => {
    const sessions = createStickySessions([], limits);
    sessions.remember(['turn', 'thread'], 'a', NOON);
    sessions.remember(['thread'], 'b', NOON + 1);
    expect(sessions.lookup(['thread'], NOON + 2)).toBe('b');
  });

  test('the first known name counts', () => {
    const sessions = createStickySessions([], limits);
    sessions.remember(['session'], 'a', NOON);
    expect(sessions.lookup(['new-turn', 'session'], NOON)).toBe('a');
    expect(sessions.lookup(['new-turn'], NOON)).toBeNull();
    expect(sessions.lookup([], NOON)).toBeNull();
  });

  test('the least recently used is forgotten first, and memory is bounded', () => {
    const sessions = createStickySessions([], limits);
    for (const key of ['1', '2', '3']) sessions.remember([key], 'a', NOON);
    sessions.lookup(['1'], NOON + 1);
    sessions.remember(['4'], 'a', NOON + 2);
    expect(['1', '2', '3', '4'].map((key) => sessions.lookup([key], NOON + 3))).toEqual(['a', null, 'a', 'a']);
    for (let index = 0; index < 1_000; index += 1) sessions.remember([`n${index}`], 'a', NOON);
    expect(sessions.size).toBe(3);
  });

  test('they survive a restart, in their order, without what went idle', () => {
    const sessions = createStickySessions([], limits);
    sessions.remember(['old'], 'a', NOON - 2_000_000);
    sessions.remember(['x'], 'a', NOON);
    sessions.remember(['y'], 'b', NOON + 1);
    const stored = sessions.serialise(NOON + 2);
    expect(stored.map(({ key }) => key)).toEqual(['x', 'y']);
    const restored = createStickySessions(JSON.parse(JSON.stringify(stored.toReversed())), limits);
    expect(restored.serialise(NOON + 2)).toEqual(stored);
  });

  test('a removed account is forgotten, and live ones are counted', () => {
    const sessions = createStickySessions([], limits);
    sessions.remember(['x', 'y'], 'a', NOON);
    sessions.remember(['z'], 'b', NOON);
    expect([sessions.countOf('a', NOON), sessions.countOf('a', NOON + 1_800_000)]).toEqual([2, 0]);
    sessions.forgetAccount('a');
    expect(sessions.lookup(['x'], NOON)).toBeNull();
    expect(sessions.lookup(['z'], NOON)).toBe('b');
  });
});
