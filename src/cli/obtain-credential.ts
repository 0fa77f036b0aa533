import type { Credential } from '../core/account.ts';
import type { Config } from '../core/config.ts';
import { CommandError, EXIT } from '../core/errors.ts';
import { formatTime } from '../core/amounts.ts';
import type { ProviderKind } from '../core/provider-kind.ts';
import { tokenExpiry } from '../daemon/workshop.ts';
import { signInWithDevice } from '../io/device-login.ts';
import { importCodexAuth } from '../io/import-codex-auth.ts';
import { SIGN_IN_PORTS, signInWithBrowser } from '../io/oauth-login.ts';
import type { OAuthServer } from '../io/oauth-tokens.ts';
import { openBrowser } from '../io/open-browser.ts';
import type { SignInResult } from '../io/sign-in-result.ts';
import { createUpstream } from '../io/upstream.ts';
import { adapterFor } from '../providers/registry.ts';
import type { CommandContext } from './context.ts';
import { askHidden, readSecretFromStdin } from './prompt.ts';
import { VERSION } from './version.ts';

/** What a credential is wanted for, and how. */
export interface CredentialRequest {
  readonly provider: string;
  readonly kind: ProviderKind;
  readonly options: { readonly device?: boolean; readonly import?: string; readonly apiKeyStdin?: boolean };
  readonly settings: Config;
}

/** Obtains a credential the way its provider takes one: a sign-in, an import, a hidden prompt, a pipe, or none. */
export async function obtainCredential(request: CredentialRequest, context: CommandContext): Promise<Credential> {
  const { kind, options } = request;
  const { login, title } = adapterFor(kind);
  if (options.import !== undefined) return importFrom(options.import, request, context);
  if (options.apiKeyStdin) return { kind: 'api-key', apiKey: await readSecretFromStdin(context) };
  switch (login.kind) {
    case 'none':
      return { kind: 'none' };
    case 'api-key':
      return askApiKey(title, login.environmentVariable, context);
    case 'chatgpt-oauth':
      return signIn(request, context);
  }
}

async function askApiKey(title: string, variable: string | null, context: CommandContext): Promise<Credential> {
  const offered = variable === null ? undefined : context.env[variable];
  if (offered !== undefined && offered !== '' && context.terminal !== null) {
    const { ask } = await import('./prompt.ts');
    const answer = await ask(`Use the key in $${variable} (…${offered.slice(-4)})? [Y/n] `, context);
    if (answer !== null && !/^n/i.test(answer)) return { kind: 'api-key', apiKey: offered };
  }
  const apiKey = await askHidden(`API key for ${title} (not shown): `, context);
  if (apiKey === '') throw new CommandError(EXIT.usage, 'no key was given');
  return { kind: 'api-key', apiKey };
}

async function importFrom(file: string, { kind }: CredentialRequest, context: CommandContext): Promise<Credential> {
  const imported = await importCodexAuth(file, { now: context.clock.now(), readExpiry: tokenExpiry });
  if (imported.provider !== kind) {
    throw new CommandError(EXIT.usage, `${file} holds a credential for ${imported.provider}; add it with: relay keys add --provider ${imported.provider} --import ${file}`);
  }
  if (imported.warning !== null) await context.stderr.write(`${imported.warning}\n`);
  return imported.credential;
}

async function signIn({ provider, settings, kind, options }: CredentialRequest, context: CommandContext): Promise<Credential> {
  const issuer = settings.providers[provider]?.authUrl ?? adapterFor(kind).defaultAuthUrl;
  if (issuer === null) throw new CommandError(EXIT.configuration, `provider "${provider}" has no authUrl in config.json`);
  const upstream = createUpstream({ useProxyEnv: settings.server.useProxyEnv, clock: context.clock });
  const server: OAuthServer = { issuer: issuer.replace(/\/+$/, ''), send: upstream.send, clock: context.clock, version: VERSION, readExpiry: tokenExpiry };
  try {
    return credentialOf(options.device ? await withDevice(server, context) : await withBrowser(server, context));
  } finally {
    await upstream.close();
  }
}

function withBrowser(server: OAuthServer, context: CommandContext): Promise<SignInResult> {
  return signInWithBrowser({
    server,
    open: openBrowser,
    show: (url) => void context.stderr.write(`Sign in with ChatGPT in your browser. If it did not open, go to:\n${url}\n`),
    account: 'choose',
    workspaceIds: null,
    ports: SIGN_IN_PORTS,
  }, context.signal);
}

function withDevice(server: OAuthServer, context: CommandContext): Promise<SignInResult> {
  return signInWithDevice({
    server,
    show: ({ url, userCode, expiresAt }) => void context.stderr.write(`On any device open ${url}\nand enter the code ${userCode} (good until ${formatTime(expiresAt, context.timeZone)})\n`),
  }, context.signal);
}

function credentialOf(result: SignInResult): Credential {
  if (result.ok) return result.credential;
  throw new CommandError(result.reason === 'cancelled' ? EXIT.interrupted : EXIT.failed, result.message);
}
