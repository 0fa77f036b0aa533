import { readFileSync } from 'node:fs';

import { expect, test } from 'vitest';

import { configJsonSchema, DEFAULT_CONFIG, parseConfig } from '../../src/core/config.ts';

test('schema/config.schema.json is what the program checks settings against (relay config schema > schema/config.schema.json)', () => {
  const published: unknown = JSON.parse(readFileSync(new URL('../../schema/config.schema.json', import.meta.url), 'utf8'));
  expect(published).toEqual(configJsonSchema());
});

test('no setting is needed, and every default is valid', () => {
  expect(parseConfig({})).toEqual({ ok: true, config: DEFAULT_CONFIG });
  expect(parseConfig(DEFAULT_CONFIG).ok).toBe(true);
});

test.each([
  [{ providers: { far: { kind: 'compatible', baseUrl: 'http://192.0.2.1/v1' } } }, ['providers', 'far', 'baseUrl']],
  [{ server: { port: 70_000 } }, ['server', 'port']],
  [{ servr: {} }, []],
])('%j is refused, and the fault named by its path', (value, path) => {
  const parsed = parseConfig(value);
  expect(parsed).toMatchObject({ ok: false });
  expect(parsed.ok ? [] : parsed.faults[0]?.path).toEqual(path);
});

test.each(['http://127.0.0.1:1/v1', 'http://localhost:11434', 'http://[::1]:8080', 'https://api.example.com/v1'])('%s may be a base URL', (baseUrl) => {
  expect(parseConfig({ providers: { one: { kind: 'compatible', baseUrl } } }).ok).toBe(true);
});
