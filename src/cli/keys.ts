import type { Command } from 'commander';

import type { Credential } from '../core/account.ts';
import type { Config } from '../core/config.ts';
import { CommandError, EXIT } from '../core/errors.ts';
import { PROVIDER_KINDS } from '../core/provider-kind.ts';
import type { ProviderKind, Wire } from '../core/provider-kind.ts';
import { SEVERAL_ACCOUNTS_NOTICE } from '../control/several-accounts-notice.ts';
import type { AccountTest, AddedAccount, Control } from '../control/control.ts';
import { ControlError } from '../control/control.ts';
import { accountCard, accountTable } from './account-words.ts';
import type { CommandContext } from './context.ts';

export interface AddOptions {
  readonly provider?: string;
  readonly device?: boolean;
  readonly import?: string;
  readonly apiKeyStdin?: boolean;
  readonly baseUrl?: string;
  readonly wire?: Wire;
  readonly priority?: string;
  readonly verify: boolean;
  readonly acceptTerms?: boolean;
  readonly json?: boolean;
}

interface JsonOption {
  readonly json?: boolean;
}

type WithControl = (work: (control: Control, settings: Config) => Promise<void>) => Promise<void>;

/** Adds `relay keys …`: the user's own accounts at their providers. */
export function registerKeys(program: Command, context: CommandContext): void {
  const keys = program.command('keys').description('Your accounts: ChatGPT sign-ins and API keys');
  const withControl: WithControl = async (work) => {
    const { openControl } = await import('./control-access.ts');
    await openControl(context, ({ control, settings }) => work(control, settings));
  };

  keys.command('add [name]')
    .description('add an account; without --provider it signs in with ChatGPT')
    .option('--provider <name>', `one of ${PROVIDER_KINDS.join(', ')}, or a provider named in config.json`, 'chatgpt')
    .option('--device', 'sign in with a code on another device, for machines without a browser')
    .option('--import <file>', 'take over the sign-in of a Codex auth.json')
    .option('--api-key-stdin', 'read the API key from stdin')
    .option('--base-url <url>', 'address of the API, for compatible and local servers')
    .option('--wire <wire>', 'chat or responses, for compatible servers')
    .option('--priority <number>', 'lower goes first; 10 for subscriptions, 20 for API keys')
    .option('--no-verify', 'do not make a call to check it')
    .option('--accept-terms', 'accept the notice about several ChatGPT accounts')
    .option('--json', 'the account as JSON')
    .addHelpText('after', `
Examples:
  $ relay keys add                                  sign in with ChatGPT in the browser
  $ relay keys add work --device                    sign in with a code
  $ relay keys add --import ~/.codex/auth.json      take over Codex's own sign-in
  $ printf %s "$KEY" | relay keys add --provider deepseek --api-key-stdin`)
    .action((name: string | undefined, options: AddOptions) => withControl((control, settings) => runAdd(name ?? null, options, context, { control, settings })));

  keys.command('list').description('every account: health, quota, balance').option('--json', 'as JSON')
    .action(({ json }: JsonOption) => withControl(async (control) => {
      const accounts = await control.call('accounts.list', {});
      await context.stdout.write(json ? `${JSON.stringify(accounts)}\n` : accountTable(accounts, context));
    }));
  keys.command('show <name>').description('everything known of one account').option('--json', 'as JSON')
    .action((name: string, { json }: JsonOption) => withControl(async (control) => {
      const account = (await control.call('accounts.list', {})).find((candidate) => candidate.name === name);
      if (!account) throw new ControlError('not_found', `There is no account "${name}"; relay keys list shows them.`);
      await context.stdout.write(json ? `${JSON.stringify(account)}\n` : accountCard(account, context));
    }));
  keys.command('test <name>').description('make one cheap call to check an account').option('--json', 'as JSON')
    .action((name: string, { json }: JsonOption) => withControl(async (control) => {
      await sayTest(name, await control.call('accounts.test', { name }), json === true, context);
    }));
  keys.command('login <name>').description('sign in again, in place')
    .option('--device', 'with a code on another device').option('--import <file>', 'from a Codex auth.json').option('--api-key-stdin', 'a new API key from stdin')
    .option('--json', 'as JSON')
    .action((name: string, options: AddOptions) => withControl((control, settings) => runLogin(name, options, context, { control, settings })));

  const simple: readonly (readonly ['pause' | 'resume' | 'wake', string, string])[] = [
    ['pause', 'send nothing to an account until it is resumed', 'paused'],
    ['resume', 'use a paused account again', 'resumed'],
    ['wake', 'end an account\'s cooldown now', 'woken'],
  ];
  for (const [verb, description, done] of simple) {
    keys.command(`${verb} <name>`).description(description).option('--json', 'as JSON')
      .action((name: string, { json }: JsonOption) => withControl(async (control) => {
        const account = await control.call(`accounts.${verb}`, { name });
        await context.stdout.write(json ? `${JSON.stringify(account)}\n` : `${name} ${done}\n`);
      }));
  }
  keys.command('rename <name> <to>').description('give an account another name')
    .action((name: string, to: string) => withControl(async (control) => {
      await control.call('accounts.rename', { name, to });
      await context.stdout.write(`${name} is ${to} now\n`);
    }));
  keys.command('remove <name>').description('forget an account, and revoke its tokens upstream').option('--json', 'as JSON')
    .action((name: string, { json }: JsonOption) => withControl(async (control) => {
      const { revoked } = await control.call('accounts.remove', { name });
      await context.stdout.write(json ? `${JSON.stringify({ name, removed: true, revoked })}\n` : `${name} removed${revoked ? ', its tokens revoked' : ''}\n`);
    }));
}

interface AddDependencies {
  readonly control: Control;
  readonly settings: Config;
}

/** `relay keys add`: obtains the credential the provider takes, stores it, and checks it with one call. */
export async function runAdd(name: string | null, options: AddOptions, context: CommandContext, { control, settings }: AddDependencies): Promise<void> {
  const provider = options.provider ?? 'chatgpt';
  const kind = kindOf(provider, settings);
  if (options.wire !== undefined && options.wire !== 'chat' && options.wire !== 'responses') throw new CommandError(EXIT.usage, '--wire takes chat or responses');
  checkBaseUrl(options.baseUrl);
  const priority = parsePriority(options.priority);
  // Asked for last: nobody signs in for a command that could not have worked.
  const credential = await obtain({ provider, kind, options, settings }, context);
  const params = {
    name, provider, kind, credential, baseUrl: options.baseUrl ?? null, wire: options.wire ?? null,
    priority, acceptTerms: options.acceptTerms === true, verify: options.verify,
  };
  const added = await control.call('accounts.add', params).catch(async (error: unknown) => {
    if (!(error instanceof ControlError) || error.code !== 'terms') throw error;
    await acceptTerms(context);
    return control.call('accounts.add', { ...params, acceptTerms: true });
  });
  await sayAdded(added, options.json === true, context);
}

async function runLogin(name: string, options: AddOptions, context: CommandContext, { control, settings }: AddDependencies): Promise<void> {
  const account = (await control.call('accounts.list', {})).find((candidate) => candidate.name === name);
  if (!account) throw new ControlError('not_found', `There is no account "${name}"; relay keys list shows them.`);
  const kind = kindOf(account.provider, settings);
  const credential = await obtain({ provider: account.provider, kind, options, settings }, context);
  await sayAdded(await control.call('accounts.login', { name, credential }), options.json === true, context);
}

interface CredentialRequest {
  readonly provider: string;
  readonly kind: ProviderKind;
  readonly options: AddOptions;
  readonly settings: Config;
}

async function obtain(request: CredentialRequest, context: CommandContext): Promise<Credential> {
  const { obtainCredential } = await import('./obtain-credential.ts');
  return obtainCredential(request, context);
}

function kindOf(provider: string, settings: Config): ProviderKind {
  const configured = settings.providers[provider]?.kind;
  const kind = configured ?? PROVIDER_KINDS.find((known) => known === provider);
  if (kind === undefined) {
    throw new CommandError(EXIT.usage, `there is no provider "${provider}"; use one of ${PROVIDER_KINDS.join(', ')}, or name it in config.json under providers`);
  }
  return kind;
}

function checkBaseUrl(baseUrl: string | undefined): void {
  if (baseUrl === undefined) return;
  if (!URL.canParse(baseUrl)) throw new CommandError(EXIT.usage, `--base-url "${baseUrl}" is not an address`);
  const { protocol, hostname } = new URL(baseUrl);
  const isLocal = /^(localhost|.*\.localhost|127(\.\d+){3}|\[::1\])$/.test(hostname);
  if (protocol !== 'https:' && !(protocol === 'http:' && isLocal)) throw new CommandError(EXIT.usage, '--base-url must be https; plain http is only for this machine');
}

function parsePriority(text: string | undefined): number | null {
  if (text === undefined) return null;
  if (!/^\d{1,4}$/.test(text)) throw new CommandError(EXIT.usage, '--priority takes a whole number from 0 to 1000');
  return Number(text);
}

async function acceptTerms(context: CommandContext): Promise<void> {
  await context.stderr.write(`${SEVERAL_ACCOUNTS_NOTICE}\n`);
  const { ask } = await import('./prompt.ts');
  const answer = await ask('Add it all the same? [y/N] ', context);
  if (answer === null) throw new CommandError(EXIT.usage, 'a second ChatGPT account needs --accept-terms when there is no terminal to ask on');
  if (!/^y(es)?$/i.test(answer)) throw new CommandError(EXIT.failed, 'not added');
}

async function sayAdded({ account, test }: AddedAccount, asJson: boolean, context: CommandContext): Promise<void> {
  if (asJson) {
    await context.stdout.write(`${JSON.stringify({ ...account, test })}\n`);
  } else {
    await context.stdout.write(accountCard(account, context));
    await context.stderr.write(test === null ? 'added; not checked\n' : test.ok ? `added; ${test.detail}\n` : `added, but the check failed: ${test.detail}\n`);
  }
  if (test !== null && !test.ok) throw new CommandError(EXIT.failed, `account "${account.name}" does not serve yet (${test.code}); relay keys test ${account.name} checks it again, relay keys remove ${account.name} forgets it`);
}

async function sayTest(name: string, test: AccountTest, asJson: boolean, context: CommandContext): Promise<void> {
  if (asJson) await context.stdout.write(`${JSON.stringify({ name, ...test })}\n`);
  else if (test.ok) await context.stdout.write(`${name}: ${test.detail}\n`);
  if (!test.ok) throw new CommandError(EXIT.failed, `${name}: ${test.detail}`);
}
