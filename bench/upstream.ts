// A fake upstream in a process of its own: bare node:http, so that as little of the machine as possible is its.
import type { ServerResponse } from 'node:http';
import { createServer } from 'node:http';

import { serveParent } from './child.ts';
import type { Frames } from './frames.ts';
import { framesOf } from './frames.ts';
import type { Answer, UpstreamKind } from './scenario.ts';
import { answerOf, UPSTREAM_PATHS } from './scenario.ts';

/** Instructions as long as those of the real catalogue's entries. */
const INSTRUCTIONS = 'You are a coding agent that runs in a terminal. '.repeat(300);

/** What the ChatGPT backend says of the plan with every answer. */
const CODEX_HEADERS: Readonly<Record<string, string>> = {
  'x-codex-plan-type': 'plus', 'x-codex-primary-used-percent': '12', 'x-codex-primary-window-minutes': '300', 'x-codex-primary-reset-after-seconds': '9000',
  'x-codex-secondary-used-percent': '31', 'x-codex-secondary-window-minutes': '10080', 'x-codex-secondary-reset-after-seconds': '400000',
};

const framesByModel = new Map<string, Frames>();
let served = 0;
let faultEvery = 0;
let codexModels: readonly string[] = [];

const server = createServer({ requestTimeout: 0 }, (request, response) => {
  request.socket.setNoDelay(true);
  const path = (request.url ?? '').split('?')[0] ?? '';
  const kind = kindOf(path);
  if (kind === null) return void (path.endsWith('/codex/models') ? sendCatalogue(response) : response.writeHead(404).end());
  let first: Buffer | null = null;
  request.on('data', (chunk: Buffer) => (first ??= chunk));
  request.on('end', () => reply(kind, modelIn(first), response));
});

function kindOf(path: string): UpstreamKind | null {
  if (path === UPSTREAM_PATHS.chat) return 'chat';
  if (path === UPSTREAM_PATHS.responses) return 'responses';
  return path === UPSTREAM_PATHS.codex ? 'codex' : null;
}

/** The model stands first in every body of the bench, so a large one need not be read. */
function modelIn(head: Buffer | null): string {
  return /"model":"([^"]+)"/.exec(head?.toString('latin1', 0, 400) ?? '')?.[1] ?? '';
}

function reply(kind: UpstreamKind, model: string, response: ServerResponse): void {
  const answer = answerOf(model);
  served += 1;
  if (answer === null) return void response.writeHead(404, { 'content-type': 'application/json' }).end('{"error":{"message":"no such model","code":"model_not_found"}}');
  if (faultEvery > 0 && served % faultEvery === 0) return fault(framesFor(kind, model), answer, response);
  const extra = { 'x-request-id': `req_up_${served}`, ...(kind === 'codex' && CODEX_HEADERS) };
  const frames = framesFor(kind, model);
  if (answer.kind === 'whole') {
    const body = frames.whole;
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body), ...extra }).end(body);
    return;
  }
  response.writeHead(200, { ...EVENT_STREAM, ...extra });
  play(frames, answer, response);
}

/** Made once for each model, so that an answer costs the upstream next to nothing. */
function framesFor(kind: UpstreamKind, model: string): Frames {
  const known = framesByModel.get(model) ?? framesOf(kind, model);
  framesByModel.set(model, known);
  return known;
}

const EVENT_STREAM = { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache' };

/** Faults in turn: an answer that breaks off in the middle, one that fails before it says anything, a 429 for a second; now and then a 500. */
function fault(frames: Frames, answer: Answer, response: ServerResponse): void {
  const turn = Math.floor(served / faultEvery);
  if (turn % 25 === 0) return refuse(response, 500, 'server_error');
  if (turn % 9 === 0) return refuse(response, 429, 'rate_limit_exceeded');
  if (answer.kind === 'whole') return void response.destroy();
  response.writeHead(200, EVENT_STREAM);
  if (turn % 2 === 0) return void response.write(frames.head + frames.delta(0), () => response.destroy());
  response.end(frames.failed);
}

function refuse(response: ServerResponse, status: number, code: string): void {
  response.writeHead(status, { 'content-type': 'application/json', 'retry-after': '1' }).end(JSON.stringify({ error: { message: 'on demand', type: code, code } }));
}

function play(frames: Frames, answer: Exclude<Answer, { kind: 'whole' }>, response: ServerResponse): void {
  response.write(frames.head + frames.delta(0));
  if (answer.kind === 'hold') return;
  let sent = 1;
  const next = (): void => {
    if (response.destroyed) return;
    if (sent >= answer.events) return void response.end(frames.tail);
    response.write(frames.delta(sent));
    sent += 1;
    setTimeout(next, answer.gapMs);
  };
  setTimeout(next, answer.gapMs);
}

function sendCatalogue(response: ServerResponse): void {
  const models = codexModels.map((slug, index) => ({
    slug, display_name: slug, base_instructions: INSTRUCTIONS, context_window: 272_000, default_reasoning_level: 'medium', input_modalities: ['text', 'image'],
    supported_reasoning_levels: ['low', 'medium', 'high'].map((effort) => ({ effort, description: effort })), visibility: 'list', supported_in_api: true, priority: index + 1,
  }));
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ models }));
}

/** What the upstream is asked over IPC. */
export interface UpstreamQuestions {
  listen: { readonly question: { readonly codexModels: readonly string[] }; readonly answer: { readonly port: number } };
  /** One request in `every` meets a fault; 0 ends that. */
  faults: { readonly question: { readonly every: number }; readonly answer: null };
  served: { readonly question: null; readonly answer: { readonly requests: number; readonly connections: number } };
}

serveParent<UpstreamQuestions>({
  listen: (options) => {
    codexModels = options.codexModels;
    return new Promise((resolve) => server.listen(0, '127.0.0.1', 1_024, () => {
      const address = server.address();
      resolve({ port: address !== null && typeof address !== 'string' ? address.port : 0 });
    }));
  },
  faults: ({ every }) => {
    faultEvery = every;
    return null;
  },
  served: () => new Promise((resolve) => server.getConnections((_error, connections) => resolve({ requests: served, connections }))),
});

