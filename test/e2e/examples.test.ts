import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

import { afterAll, beforeAll, expect, test } from 'vitest';

import type { RelayHome, RunningRelay } from '../support/start-relay.ts';
import { makeRelayHome } from '../support/start-relay.ts';

const FOLDER = fileURLToPath(new URL('../../examples/', import.meta.url));
let home: RelayHome;
let relay: RunningRelay;

beforeAll(async () => {
  home = await makeRelayHome();
  relay = await home.start(['--mock']);
});
afterAll(async () => {
  await relay?.kill('SIGKILL');
  await home?.remove();
});

function runExample(program: string, file: string): void {
  const run = spawnSync(program, [FOLDER + file], {
    env: { ...process.env, OPENAI_BASE_URL: `${relay.url}/v1`, OPENAI_API_KEY: relay.key, MODEL: 'relay-mini' }, encoding: 'utf8', timeout: 15_000,
  });
  expect(run.stderr).toBe('');
  expect(run.stdout).toMatch(/Say|hello/);
}

test.each([[process.execPath, 'chat.mjs'], [process.execPath, 'responses.mjs'], ['sh', 'chat.sh']])('%s examples/%s prints the mock\'s answer', runExample);

// The standard library is all it needs, but Python itself is not part of a bare machine.
test.skipIf(spawnSync('python3', ['--version']).status !== 0)('python3 examples/chat.py prints the mock\'s answer', () => runExample('python3', 'chat.py'));
