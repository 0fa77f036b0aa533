import type { JsonValue } from '../core/json.ts';
import type { Exchange } from './exchange.ts';
import type { Frame } from './rendering.ts';
import type { AnswerStep, MockBreak, MockPoint, RefuseStep, SocketStep } from './steps.ts';

/** An answer ready to be sent, once the step has had its way with it. */
export interface PlayedAnswer {
  readonly headers: Readonly<Record<string, string>>;
  readonly content: { readonly frames: readonly Frame[] } | { readonly whole: string };
  /** Milliseconds before each delta. */
  readonly paceMs: number;
}

/** How far an answer has come. */
interface Progress {
  readonly headers: boolean;
  readonly events: number;
  readonly deltas: number;
}

/** Sends an error status, or whatever else a refusal is told to be. */
export async function playRefusal(exchange: Exchange, step: RefuseStep, headers: Readonly<Record<string, string>> = {}): Promise<void> {
  await waitFirst(exchange, step);
  sendJson(exchange, step.status, step.body, { ...headers, ...step.headers });
}

/** Sends one whole body: JSON, or a string as it is. */
export function sendJson(exchange: Exchange, status: number, body: JsonValue, headers: Readonly<Record<string, string>> = {}): void {
  if (exchange.gone) return;
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const type =
    typeof body !== 'string' ? 'application/json' : text.startsWith('<') ? 'text/html; charset=utf-8' : 'text/plain; charset=utf-8';
  exchange.note({ status });
  exchange.response.writeHead(status, {
    date: dateOf(exchange),
    'content-type': type,
    'content-length': String(Buffer.byteLength(text)),
    ...headers,
  });
  exchange.response.end(text);
}

/** Writes bytes past HTTP. */
export async function playSocket(exchange: Exchange, step: SocketStep): Promise<void> {
  await waitFirst(exchange, step);
  const { socket } = exchange.response;
  if (socket === null || exchange.gone) return;
  exchange.note({ state: 'broken' });
  await new Promise<void>((resolve) => socket.write(step.bytes, () => resolve()));
  if (step.next === 'hang') return exchange.stand();
  if (step.next === 'reset') socket.resetAndDestroy();
  else socket.end();
}

/** Sends an answer frame by frame, as paced, dripped, added to or broken as its step says. */
export async function playAnswer(exchange: Exchange, step: AnswerStep, answer: PlayedAnswer): Promise<void> {
  await waitFirst(exchange, step);
  const way = createWay(exchange, step);
  if (await way.isOver({ headers: false, events: 0, deltas: 0 })) return;
  const status = step.status ?? 200;
  exchange.note({ status });
  exchange.response.writeHead(status, { date: dateOf(exchange), ...answer.headers, ...step.headers });
  exchange.response.flushHeaders();
  if (await way.isOver({ headers: true, events: 0, deltas: 0 })) return;
  if (await sendContent(exchange, answer, step, way)) return;
  if (await way.isOver(null)) return;
  exchange.response.end();
}

/** True when the answer ended before its end. */
async function sendContent(exchange: Exchange, answer: PlayedAnswer, step: AnswerStep, way: Way): Promise<boolean> {
  if ('whole' in answer.content) {
    const text = answer.content.whole;
    const half = Math.ceil(text.length / 2);
    await write(exchange, text.slice(0, half), step.drip);
    if (await way.isOver({ headers: true, events: Number.POSITIVE_INFINITY, deltas: Number.POSITIVE_INFINITY })) return true;
    await write(exchange, text.slice(half), step.drip);
    return exchange.gone;
  }
  let [events, deltas] = [0, 0];
  for (const frame of answer.content.frames) {
    if (frame.isDelta) await exchange.pause(step.paceMs ?? answer.paceMs);
    await write(exchange, frame.text, step.drip);
    events += 1;
    deltas += frame.isDelta ? 1 : 0;
    if (exchange.gone || (await way.isOver({ headers: true, events, deltas }))) return true;
  }
  return false;
}

async function waitFirst(
  exchange: Exchange,
  { delayMs, gate }: { readonly delayMs?: number; readonly gate?: AnswerStep['gate'] },
): Promise<void> {
  if (delayMs !== undefined) await exchange.pause(delayMs);
  if (gate !== undefined) await exchange.stand(gate);
}

async function write(exchange: Exchange, text: string, drip: AnswerStep['drip']): Promise<void> {
  if (drip === undefined) return writePiece(exchange, text);
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length && !exchange.gone; at += drip.bytes) {
    await writePiece(exchange, bytes.subarray(at, at + drip.bytes));
    await exchange.pause(drip.everyMs);
  }
}

async function writePiece({ response, gone, stand }: Exchange, piece: string | Uint8Array): Promise<void> {
  if (gone || piece.length === 0 || response.write(piece)) return;
  const drained = Promise.withResolvers<void>();
  response.once('drain', drained.resolve);
  await stand({ opened: drained.promise, release: drained.resolve });
}

/** What a step does on the way: frames put in, a break. Each happens once; `null` is the end, for points never reached. */
interface Way {
  isOver(progress: Progress | null): Promise<boolean>;
}

function createWay(exchange: Exchange, step: AnswerStep): Way {
  let insert = step.insert ?? null;
  let planned = step.break ?? null;
  return {
    async isOver(progress) {
      if (exchange.gone) return true;
      if (insert !== null && isReached(insert.at, progress)) {
        const { frames, next } = insert;
        insert = null;
        for (const frame of frames) await write(exchange, frame, step.drip);
        if (next === 'end') {
          exchange.response.end();
          return true;
        }
      }
      if (planned === null || !isReached(planned.at, progress)) return false;
      const now = planned;
      planned = null;
      return breakOff(exchange, now);
    },
  };
}

function isReached(point: MockPoint, progress: Progress | null): boolean {
  if (progress === null) return true;
  if (point === 'before-headers') return !progress.headers;
  if (!progress.headers) return false;
  if (point === 'after-headers') return true;
  if (point === 'after-first-event') return progress.events >= 1;
  return 'afterEvents' in point ? progress.events >= point.afterEvents : progress.deltas >= point.afterDeltas;
}

/** True when the answer is over; false when a hang was ended by its gate and the answer goes on. */
async function breakOff(exchange: Exchange, { how, gate }: MockBreak): Promise<boolean> {
  const { response } = exchange;
  if (how === 'hang') {
    await exchange.stand(gate);
    return exchange.gone;
  }
  await exchange.flushed();
  if (exchange.gone) return true;
  if (how === 'eof') {
    if (!response.headersSent) exchange.note({ state: 'broken' });
    if (response.headersSent) response.end();
    else response.socket?.end();
    return true;
  }
  exchange.note({ state: 'broken' });
  if (how === 'reset') response.socket?.resetAndDestroy();
  else response.socket?.destroy();
  return true;
}

function dateOf({ clock }: Exchange): string {
  return new Date(clock.now()).toUTCString();
}
