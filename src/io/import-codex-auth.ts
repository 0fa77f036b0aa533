import { readFile, stat } from 'node:fs/promises';

import type { Credential } from '../core/account.ts';
import { CommandError, EXIT } from '../core/errors.ts';
import { objectAt, parseJsonObject, stringAt } from '../core/json.ts';
import type { JsonObject } from '../core/json.ts';
import type { EpochMs } from '../core/units.ts';

/** A credential taken over from Codex. */
export interface ImportedCredential {
  /** Which provider it is good for: a ChatGPT sign-in, or a platform key. */
  readonly provider: 'chatgpt' | 'openai';
  readonly credential: Credential;
  /** The workspace as Codex wrote it down, for tokens that do not tell. */
  readonly workspaceId: string | null;
  /** What the person has to do now; null where there is nothing. */
  readonly warning: string | null;
}

const MAX_FILE_BYTES = 1_048_576;

const MOVED =
  'This sign-in now belongs to Relay: its refresh token works once, so Codex and Relay cannot share it. ' +
  'Remove it from Codex without signing out there, since that would revoke it (delete auth.json), ' +
  'then use Codex through Relay, or sign it in anew: codex login.';

/**
 * Reads Codex's `auth.json` (shape of codex-cli 0.159, 2026-10). The file is left as it is; the sign-in in it is moved,
 * not shared, and the warning says so. Throws a CommandError that names the file and never its content.
 */
export async function importCodexAuth(
  path: string,
  { now, readExpiry }: { readonly now: EpochMs; readonly readExpiry: (accessToken: string) => EpochMs | null },
): Promise<ImportedCredential> {
  const file = parseJsonObject(await readSmallFile(path));
  if (file === undefined) throw refusal(`${path} is not a Codex auth.json: it holds no JSON object.`);
  const tokens = objectAt(file, 'tokens');
  const accessToken = stringAt(tokens, 'access_token');
  if (usesApiKey(file, accessToken)) return apiKeyOf(file, path);
  if (accessToken === undefined || accessToken === '') {
    throw refusal(`${path} holds no ChatGPT sign-in. Where Codex keeps it in the keychain, sign in afresh: relay keys add.`);
  }
  const refreshToken = stringAt(tokens, 'refresh_token');
  return {
    provider: 'chatgpt',
    credential: {
      kind: 'oauth',
      accessToken,
      refreshToken: refreshToken === undefined || refreshToken === '' ? null : refreshToken,
      idToken: stringAt(tokens, 'id_token') ?? null,
      expiresAt: readExpiry(accessToken),
      refreshedAt: lastRefreshOf(file, now),
    },
    workspaceId: stringAt(tokens, 'account_id') ?? null,
    warning: MOVED,
  };
}

function usesApiKey(file: JsonObject, accessToken: string | undefined): boolean {
  const mode = stringAt(file, 'auth_mode');
  if (mode !== undefined) return mode === 'apikey';
  return accessToken === undefined && stringAt(file, 'OPENAI_API_KEY') !== undefined;
}

function apiKeyOf(file: JsonObject, path: string): ImportedCredential {
  const apiKey = stringAt(file, 'OPENAI_API_KEY');
  if (apiKey === undefined || apiKey === '') throw refusal(`${path} says it holds an API key and holds none.`);
  return { provider: 'openai', credential: { kind: 'api-key', apiKey }, workspaceId: null, warning: null };
}

function lastRefreshOf(file: JsonObject, now: EpochMs): EpochMs {
  const at = Date.parse(stringAt(file, 'last_refresh') ?? '');
  return Number.isNaN(at) || at > now ? now : at;
}

async function readSmallFile(path: string): Promise<string> {
  try {
    const { size } = await stat(path);
    if (size > MAX_FILE_BYTES) throw refusal(`${path} is too large to be a Codex auth.json.`);
    return await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof CommandError) throw error;
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
    throw refusal(code === 'ENOENT' ? `There is no file ${path}.` : `${path} cannot be read (${code}).`);
  }
}

const refusal = (message: string): CommandError => new CommandError(EXIT.failed, message);
