import { openScreen } from '../../src/tui/open-screen.tsx';
import { busySnapshot, finishedRequest, fixtureSource, NOW } from './tui-fixture.ts';

/** The live screen over made-up data that moves, to look at: built with tsc, run with node on a terminal. */
const started = Date.now();
const now = (): number => NOW + (Date.now() - started);
const source = fixtureSource(busySnapshot());
let snapshot = busySnapshot();
let seq = 5_000;
const timer = setInterval(() => {
  const running = snapshot.running.map((request) => ({
    ...request,
    outputEvents: request.phase === 'streaming' ? request.outputEvents + 20 : 0,
  }));
  seq += 1;
  const finished = seq % 10 === 0 ? [finishedRequest({ seq, id: `req_01k9ae${seq}`, t: now() }), ...snapshot.finished] : snapshot.finished;
  snapshot = { ...snapshot, running, finished };
  source.publish(snapshot);
}, 200);
const quit = new AbortController();
process.once('SIGTERM', () => quit.abort());
await openScreen({
  source, stdin: process.stdin, stdout: process.stdout, colour: !process.env['NO_COLOR'], timeZone: 'UTC', signal: quit.signal,
  clock: {
    now,
    after(ms, callback) {
      const timeout = setTimeout(callback, ms);
      return () => clearTimeout(timeout);
    },
  },
});
clearInterval(timer);
