import { readFileSync } from 'node:fs';
import { dirname, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

import { expect, test } from 'vitest';

const SRC = fileURLToPath(new URL('../../src', import.meta.url));
/** Imports that are followed when the file is loaded; types are erased, and `import('…')` waits until it is called. */
const EAGER = /^(?:import|export)\b(?! type)[^;'"`]*?from '([^']+)'|^import '([^']+)'/gm;

/** Everything a file loads at once: own files by their path under src, packages by their name. */
function loadedWith(entry: string): { readonly files: readonly string[]; readonly packages: readonly string[] } {
  const files = [resolve(SRC, entry)];
  const packages = new Set<string>();
  for (const file of files) {
    for (const match of readFileSync(file, 'utf8').matchAll(EAGER)) {
      const target = match[1] ?? match[2] ?? '';
      const path = resolve(dirname(file), target);
      if (!target.startsWith('.')) packages.add(target);
      else if (!files.includes(path)) files.push(path);
    }
  }
  return { files: files.map((file) => relative(SRC, file)), packages: [...packages].filter((name) => !name.startsWith('node:')).sort() };
}

test('--help loads two small packages and none of the rooms that serve requests', () => {
  const { files, packages } = loadedWith('cli/program.ts');
  expect(packages).toEqual(['chalk', 'commander']);
  expect(files.filter((file) => /^(providers|accounting|gateway|server|storage|daemon|mock|wire)\//.test(file))).toEqual([]);
});

test('the daemon loads nothing of the screen, of sign-in or of the keychain before it is needed', () => {
  const { files, packages } = loadedWith('daemon/start-daemon.ts');
  expect(packages.filter((name) => ['ink', 'react', 'keytar', 'open', 'oauth4webapi', 'commander', 'chalk'].includes(name))).toEqual([]);
  expect(files.filter((file) => /^(tui|cli|clients)\//.test(file))).toEqual([]);
});
