import type { JsonObject } from '../core/json.ts';
import type { Random } from '../core/ports.ts';
import { SECOND_MS } from '../core/units.ts';
import { renderChat } from './chat-answer.ts';
import { chooseTurn } from './choose-turn.ts';
import { readBody } from './exchange.ts';
import type { Exchange } from './exchange.ts';
import type { MockAccount } from './mock-account.ts';
import { mockId } from './mock-id.ts';
import { playAnswer, playRefusal, playSocket, sendJson } from './play-step.ts';
import { countTokens } from './rendering.ts';
import type { Rendered, Rendering } from './rendering.ts';
import { chatFault, ciphertextFault, codexFault, invalid, modelUnknown, responsesFault } from './request-rules.ts';
import { renderResponses, responsesUsage } from './responses-answer.ts';
import { modelRefused } from './steps.ts';
import type { StoredAnswers } from './stored-answers.ts';
import { storeAnswer } from './stored-answers.ts';
import type { AnswerStep, RefuseStep } from './steps.ts';
import { readTask } from './task.ts';

/** A route that generates, and whose manners it has. */
export interface GenerationRoute {
  readonly endpoint: 'chat' | 'responses' | 'compact' | 'embeddings';
  readonly flavour: 'codex' | 'platform';
}

/** What generation needs to know of the mock around it. */
export interface GenerationDeps {
  readonly random: Random;
  readonly paceMs: number;
  /** Whether one account reads another's reasoning. */
  readonly ciphertext: 'portable' | 'bound';
  readonly modelsOf: (account: MockAccount, flavour: 'codex' | 'platform') => readonly string[];
  /** Answers the platform keeps, for `previous_response_id` and to be asked for by id. */
  readonly stored: StoredAnswers;
}

/** Answers one generating call as the account's next step says, else as a good upstream would. */
export async function serveGeneration(
  exchange: Exchange,
  account: MockAccount,
  route: GenerationRoute,
  deps: GenerationDeps,
): Promise<void> {
  const step = account.nextStep() ?? { do: 'answer' };
  if (step.do === 'refuse' && step.early === true) return playRefusal(exchange, step);
  if (!(await readBody(exchange)))
    return sendJson(exchange, 400, {
      error: { message: 'The body could not be decoded.', type: 'invalid_request_error', param: null, code: null },
    });
  if (step.do === 'socket') return playSocket(exchange, step);
  const head = { 'x-request-id': mockId('req_mock_', deps.random) };
  if (step.do === 'refuse') {
    if (step.expiresToken === true) account.expireAccessToken();
    return playRefusal(exchange, step, head);
  }
  const { body } = exchange.record;
  if (body === undefined) return playRefusal(exchange, invalid('We could not parse the JSON body of your request.', null, null), head);
  const fault = faultOf(body, account, route, deps) ?? account.quota.refusal();
  if (fault !== null) return playRefusal(exchange, fault, head);
  await serveGood(exchange, step, { account, route, deps, body, head });
}

interface Serving {
  readonly account: MockAccount;
  readonly route: GenerationRoute;
  readonly deps: GenerationDeps;
  readonly body: JsonObject;
  readonly head: Readonly<Record<string, string>>;
}

async function serveGood(exchange: Exchange, step: AnswerStep, { account, route, deps, body, head }: Serving): Promise<void> {
  account.quota.spend();
  const headers = { ...head, ...account.quota.headers(), ...vendorHeaders(exchange, body, { account, route, deps, step }) };
  if (route.endpoint === 'embeddings') {
    const whole = step.body ?? JSON.stringify(embeddingsOf(body));
    return playAnswer(exchange, step, { headers: { ...headers, 'content-type': 'application/json' }, content: { whole }, paceMs: 0 });
  }
  const task = readTask(body, route.endpoint === 'chat' ? 'chat' : 'responses');
  const turn = chooseTurn(route.endpoint === 'compact' ? { ...task, compaction: true } : task, step, deps.random);
  const rendering: Rendering = {
    task, turn, step, body, random: deps.random, createdAtSeconds: Math.floor(exchange.clock.now() / SECOND_MS),
    tokens: countTokens(task, turn, account.cached(task.conversation, Math.ceil(task.inputCharacters / 4))),
    flavour: route.flavour, ciphertext: sealFor(account, exchange.clock.now()),
  };
  const rendered = route.endpoint === 'chat' ? renderChat(rendering) : renderResponses(rendering);
  const isBackground = body['background'] === true && !task.stream;
  const kept = isBackground ? { ...rendered.whole, background: true } : rendered.whole;
  storeAnswer(deps.stored, { account: account.name, response: kept, body }, deps.random);
  const streams = task.stream && route.endpoint !== 'compact';
  if (streams) {
    const frames = step.frames?.map((text) => ({ text, isDelta: true })) ?? rendered.frames;
    return playAnswer(exchange, step, {
      headers: { ...headers, 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache' },
      content: { frames },
      paceMs: deps.paceMs,
    });
  }
  // A background run is told at its beginning; its end is asked for by id.
  const told = isBackground ? { ...kept, status: 'queued', output: [], usage: null } : kept;
  const whole = step.body ?? JSON.stringify(route.endpoint === 'compact' ? compacted(rendered, rendering) : told);
  const length = step.break === undefined && step.drip === undefined ? { 'content-length': String(Buffer.byteLength(whole)) } : {};
  await playAnswer(exchange, step, {
    headers: { ...headers, 'content-type': 'application/json', ...length },
    content: { whole },
    paceMs: 0,
  });
}

function faultOf(body: JsonObject, account: MockAccount, route: GenerationRoute, deps: GenerationDeps): RefuseStep | null {
  if (route.endpoint === 'embeddings')
    return body['input'] === undefined ? invalid("Missing required parameter: 'input'.", 'input', 'missing_required_parameter') : null;
  const shape = shapeFault(body, route, (id) => deps.stored.get(id)?.account === account.name);
  if (shape !== null) return shape;
  const model = String(body['model']);
  const served = deps.modelsOf(account, route.flavour);
  if (!served.includes(model)) return route.flavour === 'codex' ? modelRefused(model) : modelUnknown(model);
  return deps.ciphertext === 'bound' ? ciphertextFault(body, (text) => ownerOf(text) === account.name) : null;
}

function shapeFault(body: JsonObject, route: GenerationRoute, isStored: (id: string) => boolean): RefuseStep | null {
  if (route.endpoint === 'chat') return chatFault(body);
  // A compaction call is unary: it has neither `store` nor `stream`, and the ChatGPT backend takes a list only.
  if (route.endpoint === 'compact' && route.flavour === 'codex')
    return Array.isArray(body['input']) ? null : invalid("Missing required parameter: 'input'.", 'input', 'missing_required_parameter');
  if (route.flavour === 'codex') return codexFault(body);
  const previous = body['previous_response_id'];
  if (typeof previous === 'string' && !isStored(previous)) {
    return invalid(`Previous response with id '${previous}' not found.`, 'previous_response_id', 'previous_response_not_found');
  }
  return responsesFault(body);
}

function vendorHeaders(
  exchange: Exchange,
  body: JsonObject,
  { account, route, deps, step }: Pick<Serving, 'account' | 'route' | 'deps'> & { readonly step: AnswerStep },
): Readonly<Record<string, string>> {
  if (route.flavour === 'codex') {
    return {
      'x-codex-turn-state': exchange.headers['x-codex-turn-state'] ?? `ts_${account.name}_${mockId('', deps.random)}`,
      'openai-model': step.model ?? String(body['model']),
      'x-models-etag': '"mock-1"',
      'cf-ray': '8f2e1c0d9a7b6c5d-FRA',
      server: 'cloudflare',
    };
  }
  if (account.kind !== 'api-key') return {};
  const left = Math.max(2_000, 10_000 - account.inFlight);
  return {
    'x-ratelimit-limit-requests': '10000', 'x-ratelimit-remaining-requests': String(left), 'x-ratelimit-reset-requests': '6ms',
    'x-ratelimit-limit-tokens': '2000000', 'x-ratelimit-remaining-tokens': '1999000', 'x-ratelimit-reset-tokens': '30ms',
    'openai-processing-ms': '5', 'openai-version': '2020-10-01',
  };
}

/** Reasoning sealed by an account: readable enough for the mock to know its own. */
function sealFor(account: MockAccount, nowMs: number): string {
  return `gAAAA${Buffer.from(JSON.stringify({ account: account.name, at: nowMs })).toString('base64url')}`;
}

function ownerOf(ciphertext: string): string | null {
  try {
    const sealed: unknown = JSON.parse(Buffer.from(ciphertext.replace(/^gAAAA/, ''), 'base64url').toString('utf8'));
    return typeof sealed === 'object' && sealed !== null && 'account' in sealed ? String(sealed.account) : null;
  } catch {
    return null;
  }
}

function compacted({ whole }: Rendered, { tokens }: Rendering): JsonObject {
  return {
    id: whole['id'],
    object: 'response.compaction',
    created_at: whole['created_at'],
    output: whole['output'],
    usage: responsesUsage(tokens),
  };
}

/** Vectors that depend on nothing but their text, of length one. */
function embeddingsOf(body: JsonObject): JsonObject {
  const { input } = body;
  const texts = (Array.isArray(input) && input.every((part) => typeof part === 'string') ? input : [input]).map((text) =>
    typeof text === 'string' ? text : JSON.stringify(text),
  );
  const size = typeof body['dimensions'] === 'number' ? Math.min(4_096, Math.max(1, body['dimensions'])) : 16;
  const tokens = texts.reduce((sum, text) => sum + Math.ceil(text.length / 4), 0);
  const data = texts.map((text, index) => {
    const vector = vectorOf(text, size);
    const embedding = body['encoding_format'] === 'base64' ? Buffer.from(Float32Array.from(vector).buffer).toString('base64') : vector;
    return { object: 'embedding', index, embedding };
  });
  return { object: 'list', data, model: body['model'] ?? 'relay-mini', usage: { prompt_tokens: tokens, total_tokens: tokens } };
}

function vectorOf(text: string, size: number): number[] {
  const raw = Array.from({ length: size }, (_, index) => {
    let sum = index + 1;
    for (const character of text) sum = (Math.imul(sum, 31) + (character.codePointAt(0) ?? 0)) | 0;
    return (sum % 1_000) / 1_000;
  });
  const length = Math.hypot(...raw) || 1;
  return raw.map((value) => value / length);
}
