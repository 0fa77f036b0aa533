import type { Client } from '../core/client.ts';
import { RelayError } from '../core/errors.ts';
import type { Clock, LiveEvent, LiveView } from '../core/ports.ts';
import { SECOND_MS } from '../core/units.ts';
import type { Seer } from './ledger-port.ts';
import { seerOf } from './ledger-port.ts';
import type { Reply } from './reply.ts';
import { STREAM_HEADERS } from './reply.ts';

/** Open streams at a time: of one client, and of all. */
const OF_ONE_CLIENT = 4;
const OF_ALL = 32;
/** Said so often while nothing happens, so that both ends know of each other. */
const HEARTBEAT_MS = 15 * SECOND_MS;
/** Events a reader may be behind before it is cut off; it connects again and is told the present. */
const MOST_BEHIND = 1_000;

/** The streams of `GET /relay/v1/events`. */
export interface EventStreams {
  /** Begins a stream on a reply. Throws `concurrency_limit` when there are enough. */
  open(client: Client, reply: Reply): void;
}

/**
 * Live requests as server-sent events: `begin` for each that runs already and each that comes, `finish` with its journal
 * line as it ends. A client gets its own, one with the scope `usage` all. A reader that is too slow is cut off.
 */
export function serveEvents(live: LiveView, clock: Clock): EventStreams {
  const places = createPlaces();
  return {
    open(client, reply) {
      const leave = places.take(client);
      const seer = seerOf(client);
      const outlet = createOutlet(reply, () => end());
      const tell = (event: LiveEvent): void => {
        if (mayHear(seer, event)) outlet.write(frameOf(event));
      };
      let cancelBeat = (): void => {};
      const beat = (): void => {
        cancelBeat = clock.after(HEARTBEAT_MS, () => {
          outlet.write(HEARTBEAT);
          beat();
        });
      };
      let unsubscribe = (): void => {};
      const end = (): void => {
        unsubscribe();
        cancelBeat();
        leave();
      };
      reply.onGone(end);
      reply.signOfLife(() => encoder.encode(HEARTBEAT));
      reply.begin(200, STREAM_HEADERS);
      outlet.write(': live requests of Relay\n\n');
      for (const request of live.running()) tell({ type: 'begin', request });
      unsubscribe = live.subscribe(tell);
      beat();
    },
  };
}

const HEARTBEAT = ': heartbeat\n\n';
const encoder = new TextEncoder();

/** The streams that may be open at a time. */
function createPlaces(): { take(client: Client): () => void } {
  const open = new Map<string, number>();
  let inAll = 0;
  return {
    take({ id, name }) {
      const own = open.get(id) ?? 0;
      if (own >= OF_ONE_CLIENT || inAll >= OF_ALL) {
        throw new RelayError('concurrency_limit', `Client "${name}" has ${own} event streams open, of ${inAll} in all; close one first.`, { retryAfterSeconds: 5 });
      }
      open.set(id, own + 1);
      inAll += 1;
      let left = false;
      return () => {
        if (left) return;
        left = true;
        inAll -= 1;
        const rest = (open.get(id) ?? 1) - 1;
        if (rest > 0) open.set(id, rest);
        else open.delete(id);
      };
    },
  };
}

/** Writes frames at the speed they are read; what waits is bounded, and a reader past it is cut off. */
function createOutlet(reply: Reply, onCut: () => void): { write(frame: string): void } {
  const waiting: string[] = [];
  let isFull = false;
  const write = (frame: string): void => {
    if (!isFull) {
      isFull = !reply.write(encoder.encode(frame));
      if (isFull) reply.onDrain(goOn);
      return;
    }
    waiting.push(frame);
    if (waiting.length <= MOST_BEHIND) return;
    onCut();
    void reply.destroy([]);
  };
  const goOn = (): void => {
    isFull = false;
    if (waiting.length > 0) write(waiting.splice(0).join(''));
  };
  return { write };
}

function mayHear(seer: Seer, event: LiveEvent): boolean {
  if (seer.sees === 'all') return true;
  if (event.type === 'budget') return false;
  return (event.type === 'finish' ? event.record.client : event.request.client) === seer.client;
}

function frameOf(event: LiveEvent): string {
  return `event: ${event.type}\ndata: ${JSON.stringify(dataOf(event))}\n\n`;
}

function dataOf(event: LiveEvent) {
  switch (event.type) {
    case 'finish': return event.record;
    case 'budget': return event.budget;
    default: return event.request;
  }
}
