// The load: a process of its own that sends a scenario's requests, reads every answer to its end and counts what came.
import type { IncomingMessage } from 'node:http';
import { Agent, request as httpRequest } from 'node:http';

import { serveParent } from './child.ts';
import { DELTA_MARKS, MOMENT_DIGITS } from './frames.ts';
import type { Scenario } from './scenario.ts';
import { bodyOf, headersOf } from './scenario.ts';

/** Where a scenario's requests go. */
export interface Target {
  readonly port: number;
  readonly path: string;
  readonly authorization: string;
}

/** What one run of a scenario gave. Times in ms, one entry a request; lateness one entry a delta. */
export interface LoadResult {
  readonly ms: number;
  readonly statuses: Readonly<Record<string, number>>;
  /** Answers that broke off, by their error's code. */
  readonly broken: Readonly<Record<string, number>>;
  readonly deltas: number;
  readonly ttftMs: readonly number[];
  readonly totalMs: readonly number[];
  /** How long after its sending each delta arrived; only where it was asked for. */
  readonly latenessMs: readonly number[];
}

/** What the generator is asked over IPC. */
export interface GeneratorQuestions {
  load: { readonly question: LoadOrder; readonly answer: LoadResult };
  /** Opens a scenario's streams and leaves them open once each has said its first word. */
  hold: { readonly question: { readonly scenario: Scenario; readonly target: Target }; readonly answer: { readonly open: number } };
  /** Breaks off the streams that are held. */
  letGo: { readonly question: null; readonly answer: null };
}

/** One run. */
export interface LoadOrder {
  readonly scenario: Scenario;
  readonly target: Target;
  readonly wantsLateness: boolean;
  /** Requests a second at an even pace; 0 sends the next as soon as one is over. */
  readonly perSecond: number;
}

interface Tally {
  statuses: Record<string, number>;
  broken: Record<string, number>;
  deltas: number;
  ttftMs: number[];
  totalMs: number[];
  latenessMs: number[] | null;
}

const agent = new Agent({ keepAlive: true, maxSockets: Infinity, maxFreeSockets: 2_048, scheduling: 'fifo' });
const held = new Set<() => void>();

/** Counts deltas and reads when each was sent; a frame torn over two reads is put together first. */
function createReader(scenario: Scenario, onDelta: (sentUs: number) => void): (chunk: Buffer) => void {
  const mark = DELTA_MARKS[scenario.client];
  let rest: Buffer | null = null;
  return (chunk) => {
    const bytes: Buffer = rest === null ? chunk : Buffer.concat([rest, chunk]);
    const whole = bytes.lastIndexOf('\n\n') + 2;
    for (let at = bytes.indexOf(mark); at !== -1 && at < whole - 1; at = bytes.indexOf(mark, at + mark.length)) {
      const digit = bytes[at + mark.length] ?? 0;
      if (digit < 48 || digit > 57) continue;
      onDelta(Number(bytes.toString('latin1', at + mark.length, at + mark.length + MOMENT_DIGITS)));
    }
    rest = whole === bytes.length ? null : whole === 1 ? bytes : bytes.subarray(whole);
  };
}

function nowUs(): number {
  return Number(process.hrtime.bigint() / 1_000n);
}

function count(tally: Record<string, number>, name: string): void {
  tally[name] = (tally[name] ?? 0) + 1;
}

function send({ scenario, target }: Pick<LoadOrder, 'scenario' | 'target'>, body: Buffer, onAnswer: (answer: IncomingMessage) => void, onBroken: (code: string) => void): () => void {
  const call = httpRequest({
    agent, host: '127.0.0.1', port: target.port, path: target.path, method: 'POST',
    headers: { ...headersOf(scenario), authorization: target.authorization, 'content-length': body.length },
  }, onAnswer);
  call.on('error', (error: NodeJS.ErrnoException) => onBroken(error.code ?? error.message));
  call.setNoDelay(true);
  call.end(body);
  return () => call.destroy();
}

function runOne(order: LoadOrder, body: Buffer, tally: Tally): Promise<void> {
  return new Promise((resolve) => {
    const startedUs = nowUs();
    let first: number | null = null;
    let isOver = false;
    const over = (): void => {
      if (isOver) return;
      isOver = true;
      tally.totalMs.push((nowUs() - startedUs) / 1_000);
      resolve();
    };
    const broken = (code: string): void => {
      if (!isOver) count(tally.broken, code);
      over();
    };
    send(order, body, (answer) => {
      count(tally.statuses, String(answer.statusCode));
      const read = createReader(order.scenario, (sentUs) => {
        const now = nowUs();
        first ??= now;
        tally.deltas += 1;
        tally.latenessMs?.push((now - sentUs) / 1_000);
      });
      answer.on('data', read);
      answer.on('end', () => {
        if (first !== null) tally.ttftMs.push((first - startedUs) / 1_000);
        over();
      });
      answer.on('error', (error: NodeJS.ErrnoException) => broken(error.code ?? error.message));
    }, broken);
  });
}

async function load(order: LoadOrder): Promise<LoadResult> {
  const { scenario, perSecond } = order;
  const body = bodyOf(scenario);
  const tally: Tally = { statuses: {}, broken: {}, deltas: 0, ttftMs: [], totalMs: [], latenessMs: order.wantsLateness ? [] : null };
  const startedUs = nowUs();
  await (perSecond > 0 ? atPace(order, body, tally) : inLine(order, body, tally));
  return { ...tally, ms: (nowUs() - startedUs) / 1_000, latenessMs: tally.latenessMs ?? [] };
}

/** As many at a time as the scenario says, each after the one before; the first ones a moment apart. */
async function inLine(order: LoadOrder, body: Buffer, tally: Tally): Promise<void> {
  let left = order.scenario.requests;
  const worker = async (index: number): Promise<void> => {
    await new Promise((resolve) => setTimeout(resolve, index));
    while (left > 0) {
      left -= 1;
      await runOne(order, body, tally);
    }
  };
  await Promise.all(Array.from({ length: Math.min(order.scenario.concurrency, left) }, (_, index) => worker(index)));
}

/** At an even pace, however long each takes. */
async function atPace(order: LoadOrder, body: Buffer, tally: Tally): Promise<void> {
  const running: Promise<void>[] = [];
  const startedUs = nowUs();
  await new Promise<void>((resolve) => {
    const timer = setInterval(() => {
      const due = Math.min(order.scenario.requests, Math.ceil(((nowUs() - startedUs) / 1e6) * order.perSecond));
      while (running.length < due) running.push(runOne(order, body, tally));
      if (running.length < order.scenario.requests) return;
      clearInterval(timer);
      resolve();
    }, 2);
  });
  await Promise.all(running);
}

async function hold(scenario: Scenario, target: Target): Promise<{ readonly open: number }> {
  const body = bodyOf(scenario);
  const open = async (): Promise<void> => {
    await new Promise<void>((resolve, reject) => {
      const drop = send({ scenario, target }, body, (answer) => {
        answer.on('data', createReader(scenario, () => resolve()));
        answer.on('error', () => {});
      }, (code) => reject(new Error(`a held stream broke: ${code}`)));
      held.add(drop);
    });
  };
  // A few at a time, so that the machine's queue of new connections is not what is tested.
  for (let opened = 0; opened < scenario.requests; opened += 50) {
    await Promise.all(Array.from({ length: Math.min(50, scenario.requests - opened) }, open));
  }
  return { open: held.size };
}

serveParent<GeneratorQuestions>({
  load,
  hold: ({ scenario, target }) => hold(scenario, target),
  letGo: () => {
    for (const drop of held) drop();
    held.clear();
    return null;
  },
});
