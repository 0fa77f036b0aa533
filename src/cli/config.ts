import type { Command } from 'commander';

import type { CommandContext } from './context.ts';

/** Adds `relay config …`. */
export function registerConfig(program: Command, context: CommandContext): void {
  const config = program.command('config').description('Settings in config.json');
  const settings = () => import('../storage/config-file.ts');

  config.command('path').description('where config.json is').action(async () => {
    const { homePaths } = await import('../storage/home.ts');
    await context.stdout.write(`${homePaths(context.home).config}\n`);
  });
  config.command('check').description('say whether config.json is valid, or where it is not').action(async () => {
    const { loadConfig } = await settings();
    await loadConfig(context.home);
    await context.stdout.write('valid\n');
  });
  config.command('get <key>').description('print one setting in force, e.g. server.port').action(async (key: string) => {
    const { getConfigValue, loadConfig } = await settings();
    const value = getConfigValue(await loadConfig(context.home), key);
    await context.stdout.write(`${typeof value === 'string' ? value : JSON.stringify(value, null, 2)}\n`);
  });
  config.command('set <key> <value>').description('change one setting; a running Relay takes it over')
    .addHelpText('after', '\nExamples:\n  $ relay config set server.port 8080\n  $ relay config set keychain file\n  $ relay config set models.aliases.fast gpt-6-luna')
    .action(async (key: string, text: string) => {
      const { readConfigArgument, setConfigValue } = await settings();
      const { openHome } = await import('../storage/home.ts');
      await setConfigValue(await openHome(context.home), key, readConfigArgument(text));
    });
  config.command('schema').description('the JSON Schema of config.json').action(async () => {
    const { configJsonSchema } = await import('../core/config.ts');
    await context.stdout.write(`${JSON.stringify(configJsonSchema(), null, 2)}\n`);
  });
}
