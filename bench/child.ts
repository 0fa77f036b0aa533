import type { ChildProcess } from 'node:child_process';
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** What a process may be asked over IPC: by name, the question's facts and the answer's. */
export type Questions = { readonly [name: string]: { readonly question: unknown; readonly answer: unknown } };

interface Envelope {
  readonly id: number;
  readonly name: string;
  readonly content: unknown;
}

/** What every process of the bench is asked beside its own questions. */
export interface ProbeQuestions {
  usage: { readonly question: { readonly collect: boolean }; readonly answer: Usage };
}

/** What a process used so far, by its own account (`getrusage`), and what it holds now, in bytes. */
export interface Usage {
  /** CPU time of all its threads, user and system, in microseconds. */
  readonly cpuUs: number;
  readonly rss: number;
  readonly heapUsed: number;
  readonly external: number;
  readonly descriptors: number;
}

/** A child process that answers questions. */
export interface Child<Q> {
  readonly pid: number;
  readonly process: ChildProcess;
  ask<N extends keyof Q & string>(name: N, content: QuestionOf<Q, N>, deadlineMs?: number): Promise<AnswerOf<Q, N>>;
  /** Ends it and resolves when it is gone. */
  end(signal?: NodeJS.Signals): Promise<void>;
}

type QuestionOf<Q, N extends keyof Q> = Q[N] extends { readonly question: infer T } ? T : never;
type AnswerOf<Q, N extends keyof Q> = Q[N] extends { readonly answer: infer T } ? T : never;

const ASK_MS = 30_000;
const PROBE = new URL('probe.ts', import.meta.url).href;

/** Options of node every process of the bench runs with; the probe answers for what a process uses. */
export const NODE_OPTIONS: readonly string[] = ['--disable-warning=ExperimentalWarning', '--import', PROBE];

/** Starts a file of this folder as a process. */
export function startChild<Q>(file: string, options: { readonly execArgv?: readonly string[] } = {}): Child<Q & ProbeQuestions> {
  const child = fork(fileURLToPath(new URL(file, import.meta.url)), [], {
    execArgv: [...NODE_OPTIONS, ...(options.execArgv ?? [])], stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  return asChild(child);
}

/** Wraps a process that was started with an IPC channel and the probe. */
export function asChild<Q>(child: ChildProcess): Child<Q> {
  let nextId = 1;
  const waiting = new Map<number, (answer: unknown, error: string | null) => void>();
  child.on('message', ({ id, name, content }: Envelope) => waiting.get(id)?.(content, name === 'error' ? String(content) : null));
  const exited = new Promise<void>((resolve) => child.once('exit', () => {
    for (const settle of waiting.values()) settle(null, `process ${child.pid} ended`);
    resolve();
  }));
  return {
    pid: child.pid ?? 0,
    process: child,
    ask(name, content, deadlineMs = ASK_MS) {
      const id = nextId++;
      return new Promise((resolve, reject) => {
        const timer = setTimeout(() => settle(null, `no answer to "${name}" within ${deadlineMs} ms`), deadlineMs);
        const settle = (answer: unknown, error: string | null): void => {
          clearTimeout(timer);
          waiting.delete(id);
          if (error !== null) return reject(new Error(error));
          // Both ends are compiled from the same table of questions.
          resolve(answer as never);
        };
        waiting.set(id, settle);
        child.send({ id, name, content } satisfies Envelope);
      });
    },
    async end(signal = 'SIGTERM') {
      if (child.exitCode === null && child.signalCode === null) child.kill(signal);
      await exited;
    },
  };
}

type Answers<Q> = { readonly [N in keyof Q & string]: (content: QuestionOf<Q, N>) => AnswerOf<Q, N> | Promise<AnswerOf<Q, N>> };

/** Answers the parent's questions; those of another table are left to it. A question that throws is answered with its error. */
export function serveParent<Q>(answers: Answers<Q>): void {
  const table: Readonly<Record<string, (content: never) => unknown>> = answers;
  process.on('message', ({ id, name, content }: Envelope) => {
    const answer = Object.hasOwn(table, name) ? table[name] : undefined;
    if (answer === undefined) return;
    const reply = (kind: string, value: unknown): void => void process.send?.({ id, name: kind, content: value } satisfies Envelope);
    new Promise((resolve) => resolve(answer(content as never))).then(
      (value) => reply(name, value),
      (error: unknown) => reply('error', error instanceof Error ? error.stack : String(error)),
    );
  });
  // Nothing of a bench outlives it; until then its questions keep the process up.
  process.channel?.ref();
  process.once('disconnect', () => process.exit(0));
}
