import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

import { describe, expect, test } from 'vitest';

const SRC = fileURLToPath(new URL('../src', import.meta.url));

/** Who may know whom: the table of docs/architecture.md. A room always knows itself. */
const MAY_KNOW: Record<string, readonly string[]> = {
  core: [],
  wire: ['core'],
  routing: ['core'],
  accounting: ['core'],
  providers: ['core', 'wire', 'accounting'],
  gateway: ['core', 'wire', 'routing', 'accounting', 'providers'],
  control: ['core', 'routing', 'accounting', 'providers'],
  server: ['core', 'wire', 'accounting', 'gateway'],
  storage: ['core', 'wire', 'accounting'],
  io: ['core', 'wire', 'accounting', 'control'],
  mock: ['core', 'wire', 'accounting'],
  tui: ['core', 'accounting'],
  clients: ['core'],
};
const INTRODUCERS = ['cli', 'daemon'];
const PURE = ['core', 'wire', 'routing', 'accounting', 'providers'];

/** Every npm package has one home. `hono/jsx` counts as hono. */
const HOMES: Record<string, readonly string[]> = {
  zod: ['core'],
  'eventsource-parser': ['wire'],
  '@pydantic/genai-prices': ['accounting'],
  hono: ['server'],
  '@hono/node-server': ['server', 'daemon'],
  'prom-client': ['server'],
  ws: ['server'],
  lowdb: ['storage'],
  undici: ['io'],
  keytar: ['io'],
  oauth4webapi: ['io'],
  open: ['io'],
  ink: ['tui'],
  react: ['tui'],
  '@inkjs/ui': ['tui'],
  commander: ['cli'],
  chalk: ['cli'],
  '@bomb.sh/tab': ['cli'],
  '@decimalturn/toml-patch': ['clients'],
  'jsonc-parser': ['clients'],
};

interface Import {
  readonly file: string;
  readonly room: string;
  readonly target: string;
}

function sourceFiles(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.tsx?$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name));
}

/** `import … from '…'`, `export … from '…'`, a bare `import '…'` and `import('…')`. */
const IMPORT = /^(?:import|export)\b[^;'"`]*?from '([^']+)'|^import '([^']+)'|\bimport\('([^']+)'\)/gm;

const roomOf = (file: string): string => relative(SRC, file).split('/')[0] ?? '';
const files = sourceFiles(SRC);
const imports: Import[] = files.flatMap((file) =>
  [...readFileSync(file, 'utf8').matchAll(IMPORT)].map((match) => ({
    file, room: roomOf(file), target: match[1] ?? match[2] ?? match[3] ?? '',
  })),
);
const say = ({ file, target }: Import): string => `${relative(SRC, file)} -> ${target}`;

describe('the walls', () => {
  test('every room is in the table', () => {
    const rooms = new Set(files.map(roomOf));
    expect([...rooms].filter((room) => !(room in MAY_KNOW) && !INTRODUCERS.includes(room))).toEqual([]);
  });

  test('a room imports only rooms it may know', () => {
    const trespasses = imports.filter(({ file, room, target }) => {
      if (!target.startsWith('.') || INTRODUCERS.includes(room)) return false;
      const known = roomOf(resolve(dirname(file), target));
      return known !== room && !MAY_KNOW[room]?.includes(known);
    });
    expect(trespasses.map(say)).toEqual([]);
  });

  test('every npm package has one home', () => {
    const strays = imports.filter(({ room, target }) => {
      if (target.startsWith('.') || target.startsWith('node:')) return false;
      const name = target.startsWith('@') ? target.split('/').slice(0, 2).join('/') : (target.split('/')[0] ?? '');
      return !HOMES[name]?.includes(room);
    });
    expect(strays.map(say)).toEqual([]);
  });

  test('relative imports name their file', () => {
    expect(imports.filter(({ target }) => target.startsWith('.') && !/\.tsx?$/.test(target)).map(say)).toEqual([]);
  });

  test('no import cycle', () => {
    const edges = new Map<string, string[]>();
    for (const { file, target } of imports) {
      if (!target.startsWith('.')) continue;
      edges.set(file, [...(edges.get(file) ?? []), resolve(dirname(file), target)]);
    }
    const state = new Map<string, 'open' | 'done'>();
    const cycles: string[] = [];
    const visit = (file: string, path: readonly string[]): void => {
      if (state.get(file) === 'done') return;
      if (state.get(file) === 'open') {
        cycles.push([...path.slice(path.indexOf(file)), file].map((step) => relative(SRC, step)).join(' -> '));
        return;
      }
      state.set(file, 'open');
      for (const next of edges.get(file) ?? []) visit(next, [...path, file]);
      state.set(file, 'done');
    };
    for (const file of files) visit(file, []);
    expect(cycles).toEqual([]);
  });

  test('a pure room has no clock, no randomness, no process and no node module', () => {
    const impure = /\bDate\.now\(|new Date\(\)|Math\.random\(|\bperformance\.|\bprocess\.|\bsetTimeout\(|\bsetInterval\(|from 'node:/;
    const offences = files
      .filter((file) => PURE.includes(roomOf(file)))
      .flatMap((file) => readFileSync(file, 'utf8').split('\n').map((line, index) => ({ file, line, index })))
      .filter(({ line }) => impure.test(line) && !/^\s*(\*|\/\/)/.test(line));
    expect(offences.map(({ file, index, line }) => `${relative(SRC, file)}:${index + 1} ${line.trim()}`)).toEqual([]);
  });

  test('there are no drawers', () => {
    const drawers = /(^|\/)(utils?|helpers?|common|shared|misc|lib)(\/|\.tsx?$)/;
    expect(files.map((file) => relative(SRC, file)).filter((file) => drawers.test(file))).toEqual([]);
  });
});
