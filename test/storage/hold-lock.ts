import { acquireLock } from '../../src/storage/lock.ts';

/** Takes the lock it is told to, says so, and holds it for as long as it lives. */
const [home = '', name = ''] = process.argv.slice(2);
const held = await acquireLock(home, name, {
  clock: { now: () => Date.now(), after: (ms, callback) => {
    const timer = setTimeout(callback, ms);
    return () => clearTimeout(timer);
  } },
  waitMs: 0,
});
process.stdout.write(held ? 'held\n' : 'refused\n');
setInterval(() => undefined, 60_000);
