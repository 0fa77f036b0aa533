import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { readClaims } from '../../src/providers/claims.ts';
import { makeChatGptJwt, makeJwt } from '../support/make-jwt.ts';

describe('the claims of a ChatGPT token', () => {
  test('name the person, the workspace, the plan and the end', () => {
    const jwt = makeChatGptJwt({ userId: 'u', workspaceId: 'w', email: 'zoë@example.com', plan: 'team', fedramp: true, expiresAtSeconds: 1_800_000_000 });
    expect(readClaims(jwt)).toEqual({
      identity: { userId: 'u', workspaceId: 'w', email: 'zoë@example.com', fedramp: true },
      plan: 'team',
      expiresAt: 1_800_000_000_000,
    });
  });

  test('fall back to user_id and to the profile, and stay null where nothing is said', () => {
    const jwt = makeJwt({ 'https://api.openai.com/auth': { user_id: 'u2' }, 'https://api.openai.com/profile': { email: 'p@example.com' } });
    expect(readClaims(jwt)).toEqual({ identity: { userId: 'u2', workspaceId: null, email: 'p@example.com', fedramp: false }, plan: null, expiresAt: null });
    expect(readClaims(makeJwt({}))).toEqual({ identity: { userId: null, workspaceId: null, email: null, fedramp: false }, plan: null, expiresAt: null });
  });

  test('of another type count as absent', () => {
    const jwt = makeJwt({ exp: 'soon', email: 7, 'https://api.openai.com/auth': { chatgpt_account_id: 1, chatgpt_account_is_fedramp: 'true' } });
    expect(readClaims(jwt)).toEqual({ identity: { userId: null, workspaceId: null, email: null, fedramp: false }, plan: null, expiresAt: null });
  });

  test.each(['', 'sk-abc', 'at-abc', 'a.b', 'a.!!.c', 'a.W10.c', 'a..c', 'a.gICA.c'])('of %j are none: it is no token of claims', (text) => {
    expect(readClaims(text)).toBeNull();
  });

  test('never throw, whatever the text', () => {
    fc.assert(fc.property(fc.oneof(fc.string(), fc.string().map((part) => `x.${part}.y`)), (text) => {
      readClaims(text);
    }));
  });
});
