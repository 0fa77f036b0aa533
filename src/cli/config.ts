import type { Command } from 'commander';

import { CommandError, EXIT } from '../core/errors.ts';
import type { CommandContext } from './context.ts';

/** Adds `relay config …`. */
export function registerConfig(program: Command, context: CommandContext): void {
  const config = program.command('config').description('Settings in config.json');
  const file = async () => {
    const [settings, { homePaths, openHome }] = await Promise.all([import('../storage/config-file.ts'), import('../storage/home.ts')]);
    return { ...settings, path: homePaths(context.home).config, open: () => openHome(context.home) };
  };

  config.command('path').description('where config.json is').action(async () => {
    await context.stdout.write(`${(await file()).path}\n`);
  });
  config.command('check').description('say whether config.json is valid').action(async () => {
    const { readConfig, path } = await file();
    await readConfig(path);
    await context.stdout.write(`${path}: valid\n`);
  });
  config.command('get <key>').description('print one setting, e.g. server.port').action(async (key: string) => {
    const { readConfig, path } = await file();
    const value = key.split('.').reduce<unknown>((inner, part) => (typeof inner === 'object' && inner !== null ? Reflect.get(inner, part) : undefined), (await readConfig(path)));
    if (value === undefined) throw new CommandError(EXIT.usage, `there is no setting "${key}"; relay config schema lists them`);
    await context.stdout.write(`${typeof value === 'string' ? value : JSON.stringify(value, null, 2)}\n`);
  });
  config.command('set <key> <value>').description('change one setting; the value is JSON or plain text')
    .addHelpText('after', '\nExample:\n  $ relay config set server.port 8080\n  $ relay config set keychain file')
    .action(async (key: string, text: string) => {
      const { setConfigValue, path, open } = await file();
      await open();
      await setConfigValue(path, key.split('.'), parseValue(text));
      await context.stdout.write(`${key} set in ${path}\n`);
    });
  config.command('schema').description('the JSON Schema of config.json').action(async () => {
    const { configJsonSchema } = await file();
    await context.stdout.write(`${JSON.stringify(configJsonSchema(), null, 2)}\n`);
  });
}

function parseValue(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
