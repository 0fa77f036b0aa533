#!/usr/bin/env node
// The launcher: the right Node, or one clear line. Plain JavaScript that any Node with modules can read.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const FLOOR = [22, 19];
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
const isNewEnough = major > FLOOR[0] || (major === FLOOR[0] && minor >= FLOOR[1]);
const bundled = fileURLToPath(new URL(`../node_modules/.bin/node${process.platform === 'win32' ? '.cmd' : ''}`, import.meta.url));
const program = fileURLToPath(new URL('../dist/cli/program.js', import.meta.url));

if (isNewEnough && existsSync(program)) {
  const { main } = await import('../dist/cli/program.js');
  await main(process.argv.slice(2));
} else if (isNewEnough) {
  process.stderr.write('relay: not built yet; run: npm run build\n');
  process.exitCode = 70;
} else if (existsSync(bundled) && !process.env.RELAY_RELAUNCHED) {
  const child = spawn(bundled, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], {
    stdio: 'inherit',
    env: { ...process.env, RELAY_RELAUNCHED: '1' },
  });
  // A terminal's Ctrl-C reaches the child by itself; told twice, it would take it for a second one.
  process.on('SIGINT', () => process.stdin.isTTY || child.kill('SIGINT'));
  for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('exit', (code, signal) => process.exit(code ?? (signal === 'SIGINT' ? 130 : 1)));
} else {
  process.stderr.write(`relay needs Node ${FLOOR.join('.')} or newer; this is ${process.versions.node}. Run npm install in its folder, or install a newer Node.\n`);
  process.exitCode = 1;
}
