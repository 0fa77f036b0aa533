import { openHome } from '../../src/storage/home.ts';
import { openJournal } from '../../src/storage/journal.ts';
import { closing } from './journal-fixture.ts';

/** Appends from 32 hands at once and prints each id once its append has resolved, for as long as it lives. */
const [path = '', run = ''] = process.argv.slice(2);
const silent = (): void => undefined;
const journal = await openJournal(await openHome(path), {
  clock: { now: () => Date.now(), after: (ms, callback) => {
    const timer = setTimeout(callback, ms);
    return () => clearTimeout(timer);
  } },
  durability: 'disk',
  log: { debug: silent, info: silent, warn: silent, error: silent },
  segmentBytes: 256 << 10,
});
let next = 0;
async function hand(): Promise<never> {
  for (;;) {
    const id = `req_${run}_${next += 1}`;
    await journal.append(closing(id));
    process.stdout.write(`${id}\n`);
  }
}
await Promise.all(Array.from({ length: 32 }, hand));
