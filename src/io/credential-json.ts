import type { Credential } from '../core/account.ts';
import { numberAt, parseJsonObject, stringAt } from '../core/json.ts';
import { CredentialStoreError } from '../core/ports.ts';

/** A credential as the keychain and the vault hold it. */
export function writeCredential(credential: Credential): string {
  return JSON.stringify(credential);
}

/** Reads what {@link writeCredential} wrote. Throws `corrupt`, without a word of the content, when it is anything else. */
export function readCredential(text: string, accountId: string): Credential {
  const value = parseJsonObject(text);
  const apiKey = stringAt(value, 'apiKey');
  const accessToken = stringAt(value, 'accessToken');
  const refreshedAt = numberAt(value, 'refreshedAt');
  switch (stringAt(value, 'kind')) {
    case 'none':
      return { kind: 'none' };
    case 'api-key':
      if (apiKey !== undefined) return { kind: 'api-key', apiKey };
      break;
    case 'oauth':
      if (accessToken === undefined || refreshedAt === undefined) break;
      return {
        kind: 'oauth',
        accessToken,
        refreshToken: stringAt(value, 'refreshToken') ?? null,
        idToken: stringAt(value, 'idToken') ?? null,
        expiresAt: numberAt(value, 'expiresAt') ?? null,
        refreshedAt,
      };
  }
  throw new CredentialStoreError(
    'corrupt',
    `The stored credential of account ${accountId} cannot be read. Sign in again: relay keys login.`,
  );
}
