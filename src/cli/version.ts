import { readFileSync } from 'node:fs';

import { parseJsonObject, stringAt } from '../core/json.ts';

/** Relay's version, from its own package.json. */
export const VERSION: string =
  stringAt(parseJsonObject(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')), 'version') ?? '0.0.0';
