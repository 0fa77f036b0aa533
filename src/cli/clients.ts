import type { Command } from 'commander';

import { budgetWords } from '../core/budget-words.ts';
import { formatDateTime } from '../core/amounts.ts';
import type { EndpointScope } from '../core/client.ts';
import { ENDPOINT_SCOPES } from '../core/client.ts';
import { CommandError, EXIT } from '../core/errors.ts';
import { parseDuration } from '../core/moment.ts';
import { printable } from '../core/printable.ts';
import type { ClientView, Control, IssuedKey } from '../control/control.ts';
import { span } from '../tui/spans.ts';
import type { Column } from '../tui/table.ts';
import type { CommandContext } from './context.ts';
import { parseBudget, parseTokens } from './parse-budget.ts';
import { ask } from './prompt.ts';
import { lineText, tableLines } from './table.ts';

/** The flags that set a client's boundaries, as given. */
export interface ClientOptions {
  readonly member?: string;
  readonly project?: string;
  readonly env?: string;
  readonly models?: string;
  readonly accounts?: string;
  readonly endpoints?: string;
  readonly budget?: readonly string[];
  readonly tokens?: readonly string[];
  readonly concurrency?: string;
  readonly rpm?: string;
  readonly expires?: string;
  readonly keep?: boolean;
  readonly json?: boolean;
}

interface RotateOptions {
  readonly grace: string;
  readonly expires?: string;
  readonly json?: boolean;
}

/** Adds `relay clients …`: keys for the programs that may use Relay. */
export function registerClients(program: Command, context: CommandContext): void {
  const clients = program.command('clients').description('Keys for the programs that use Relay, with scopes, limits and budgets');
  const withControl = async (work: (control: Control) => Promise<void>): Promise<void> => {
    const { openControl } = await import('./control-access.ts');
    await openControl(context, ({ control }) => work(control));
  };

  boundaries(clients.command('add [name]').description('make a key for a client; it is shown once. Without a name it asks'))
    .option('--keep', 'also keep the key in the keychain, for relay clients token')
    .addHelpText('after', `
Examples:
  $ relay clients add cline --models 'gpt-6-*' --budget 20usd/month
  $ relay clients add ci --env prod --tokens 5M/day --rpm 60 --expires 30d`)
    .action(async (name: string | undefined, options: ClientOptions) => {
      const wanted = name === undefined ? await askForClient(options, context) : { name, options };
      const params = { name: wanted.name, keep: options.keep === true, ...scopesOf(wanted.options, context) };
      await withControl(async (control) => sayKey(await control.call('clients.add', params), options.json === true, context));
    });
  boundaries(clients.command('set <name>').description('change a client\'s boundaries; what is not named stays'))
    .action((name: string, options: ClientOptions) => withControl(async (control) => {
      const changes = scopesOf(options, context);
      if (Object.keys(changes).length === 0) throw new CommandError(EXIT.usage, 'nothing to set; relay clients set --help shows what there is');
      const client = await control.call('clients.set', { name, ...changes });
      await context.stdout.write(options.json ? `${JSON.stringify(client)}\n` : clientCard(client, context));
    }));
  clients.command('list').description('every client').option('--json', 'as JSON')
    .action(({ json }: ClientOptions) => withControl(async (control) => {
      const list = await control.call('clients.list', {});
      await context.stdout.write(json ? `${JSON.stringify(list)}\n` : clientTable(list, context));
    }));
  clients.command('show <name>').description('one client').option('--json', 'as JSON')
    .action((name: string, { json }: ClientOptions) => withControl(async (control) => {
      const named = (await control.call('clients.list', {})).filter((candidate) => candidate.name === name);
      // A revoked client's name may have been given anew.
      const client = named.find(({ revokedAt }) => revokedAt === null) ?? named.at(-1);
      if (!client) throw new CommandError(EXIT.failed, `there is no client "${name}"; relay clients list shows them`);
      await context.stdout.write(json ? `${JSON.stringify(client)}\n` : clientCard(client, context));
    }));
  clients.command('rotate <name>').description('make a client a new key').option('--grace <span>', 'how long the old key stays good', '0s')
    .option('--expires <span>', '30d; the new key does not expire unless said').option('--json', 'as JSON')
    .action(async (name: string, { grace, expires, json }: RotateOptions) => {
      const params = { name, graceMs: spanOf(grace, '--grace'), ...(expires !== undefined && { expiresAt: expiryOf(expires, context) }) };
      await withControl(async (control) => sayKey(await control.call('clients.rotate', params), json === true, context));
    });
  clients.command('revoke <name>').description('end a client\'s key; what it runs now ends normally').option('--json', 'as JSON')
    .action((name: string, { json }: ClientOptions) => withControl(async (control) => {
      const client = await control.call('clients.revoke', { name });
      await context.stdout.write(json ? `${JSON.stringify(client)}\n` : `${name} revoked\n`);
    }));
  clients.command('token <name>').description('print a client\'s key, if it was kept').option('--json', 'as JSON')
    .action((name: string, { json }: ClientOptions) => withControl(async (control) => {
      const { key } = await control.call('clients.token', { name });
      await context.stdout.write(json ? `${JSON.stringify({ name, key })}\n` : `${key}\n`);
    }));
}

function boundaries(command: Command): Command {
  const collect = (value: string, before: readonly string[] = []): readonly string[] => [...before, value];
  return command
    .option('--member <name>', 'the person it belongs to; "none" for nobody').option('--project <name>', 'the project it works for').option('--env <name>', 'dev, prod, …')
    .option('--models <globs>', 'models it may use, comma-separated; "all" lifts the limit').option('--accounts <names>', 'accounts it may use; "all" lifts the limit')
    .option('--endpoints <names>', `of ${ENDPOINT_SCOPES.join(', ')}`)
    .option('--budget <limit>', '20usd/month, 5usd-charged/day, 1000requests/day; may be repeated; "none" lifts them', collect)
    .option('--tokens <limit>', '5M/day', collect)
    .option('--concurrency <number>', 'requests at once; "none" lifts the limit').option('--rpm <number>', 'requests a minute; "none" lifts the limit')
    .option('--expires <span>', '30d; "never" lifts it').option('--json', 'as JSON');
}

function scopesOf(options: ClientOptions, context: CommandContext) {
  const given = options.budget ?? [];
  const budgets = [...given.filter((text) => text !== 'none').map(parseBudget), ...(options.tokens ?? []).map(parseTokens)];
  return {
    ...(options.member !== undefined && { member: nameOrNone(options.member) }),
    ...(options.project !== undefined && { project: nameOrNone(options.project) }),
    ...(options.env !== undefined && { env: nameOrNone(options.env) }),
    ...(options.models !== undefined && { models: listOrAll(options.models) }),
    ...(options.accounts !== undefined && { accounts: listOrAll(options.accounts) }),
    ...(options.endpoints !== undefined && { endpoints: parseEndpoints(options.endpoints) }),
    ...((given.length > 0 || budgets.length > 0) && { budgets }),
    ...(options.concurrency !== undefined && { concurrency: countOrNone(options.concurrency, '--concurrency') }),
    ...(options.rpm !== undefined && { requestsPerMinute: countOrNone(options.rpm, '--rpm') }),
    ...(options.expires !== undefined && { expiresAt: expiryOf(options.expires, context) }),
  };
}

function nameOrNone(text: string): string | null {
  return text === 'none' ? null : text;
}

function expiryOf(text: string, { clock }: CommandContext): number | null {
  return text === 'never' ? null : clock.now() + spanOf(text, '--expires');
}

function listOrAll(text: string): string[] | null {
  return text === 'all' ? null : text.split(',').map((part) => part.trim()).filter((part) => part !== '');
}

function parseEndpoints(text: string): EndpointScope[] {
  return text.split(',').map((part) => part.trim()).map((part) => {
    const scope = ENDPOINT_SCOPES.find((known) => known === part);
    if (scope) return scope;
    throw new CommandError(EXIT.usage, `--endpoints "${part}" is unknown; it takes ${ENDPOINT_SCOPES.join(', ')}`);
  });
}

function countOrNone(text: string, option: string): number | null {
  if (text === 'none') return null;
  if (!/^[1-9]\d{0,6}$/.test(text)) throw new CommandError(EXIT.usage, `${option} takes a whole number above 0, or none`);
  return Number(text);
}

function spanOf(text: string, option: string): number {
  const ms = parseDuration(text);
  if (ms === null) throw new CommandError(EXIT.usage, `${option} "${text}" is no span of time; write it like 90s, 1h or 30d`);
  return ms;
}

/** Asks for the name, and for the two boundaries most clients get unless they were given. Throws a usage error without a terminal. */
async function askForClient(options: ClientOptions, context: CommandContext): Promise<{ readonly name: string; readonly options: ClientOptions }> {
  const name = await ask('Name of the client: ', context);
  if (name === null) throw new CommandError(EXIT.usage, 'name the client: relay clients add NAME');
  if (name === '') throw new CommandError(EXIT.usage, 'a client needs a name');
  const models = options.models ?? (await ask('Models it may use, comma-separated (Enter for all): ', context)) ?? '';
  const budget = options.budget ?? [(await ask('Budget, like 20usd/month (Enter for none): ', context)) ?? ''].filter((text) => text !== '');
  return { name, options: { ...options, ...(models !== '' && { models }), ...(budget.length > 0 && { budget }) } };
}

async function sayKey(issued: IssuedKey, asJson: boolean, context: CommandContext): Promise<void> {
  if (asJson) {
    const { endpoints: scopes } = issued;
    await context.stdout.write(`${JSON.stringify({ ...issued, scopes })}\n`);
    return;
  }
  await context.stdout.write(`${issued.key}\n`);
  await context.stderr.write(`This is the key of client "${issued.name}". It is shown this once.\n`);
}

function clientTable(clients: readonly ClientView[], { stdout }: CommandContext): string {
  if (clients.length === 0) return lineText([span('No clients yet. relay clients add NAME makes a key.', 'dim')], stdout);
  const words = (value: string | null) => (value === null ? span('–', 'dim') : span(printable(value)));
  const columns: readonly Column<ClientView>[] = [
    { title: 'CLIENT', min: 8, cell: ({ name }) => span(printable(name), 'strong') },
    { title: 'KEY', cell: ({ keys, revokedAt }) => (revokedAt === null ? span(`…${keys[0]?.tail ?? ''}`) : span('revoked', 'bad')) },
    { title: 'MEMBER', dropAt: 2, cell: ({ member }) => words(member) },
    { title: 'PROJECT', dropAt: 2, cell: ({ project }) => words(project) },
    { title: 'ENV', dropAt: 2, cell: ({ env }) => words(env) },
    { title: 'MODELS', min: 6, dropAt: 1, cell: ({ models }) => words(models === null ? null : models.join(', ')) },
    { title: 'BUDGETS', min: 8, cell: ({ budgets }) => words(budgets.length === 0 ? null : budgets.map(budgetWords).join(', ')) },
  ];
  return tableLines(columns, clients, stdout).map((line) => lineText(line, stdout)).join('');
}

function clientCard(client: ClientView, { stdout, timeZone }: CommandContext): string {
  const facts: readonly (readonly [string, string | null])[] = [
    ['key', client.revokedAt === null ? client.keys.map(({ tail }) => `…${tail}`).join(', ') : 'revoked'],
    ['member', client.member], ['project', client.project], ['env', client.env],
    ['models', client.models?.join(', ') ?? 'all'], ['accounts', client.accounts?.join(', ') ?? 'all'], ['endpoints', client.endpoints.join(', ')],
    ['budgets', client.budgets.length === 0 ? null : client.budgets.map(budgetWords).join(', ')],
    ['concurrency', client.concurrency === null ? null : String(client.concurrency)],
    ['expires', expiryWords(client, timeZone)],
    ['rpm', client.requestsPerMinute === null ? null : String(client.requestsPerMinute)],
  ];
  return [
    lineText([span(printable(client.name), 'strong')], stdout),
    ...facts.flatMap(([label, value]) => (value === null ? [] : [lineText([span(label.padEnd(13), 'dim'), span(printable(value))], stdout)])),
  ].join('');
}

/** When the newest key ends; null when it does not. */
function expiryWords({ keys, revokedAt }: ClientView, timeZone: string): string | null {
  const expiresAt = keys[0]?.expiresAt ?? null;
  return revokedAt !== null || expiresAt === null ? null : formatDateTime(expiresAt, timeZone);
}
