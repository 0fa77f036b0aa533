import { RelayError } from '../core/errors.ts';
import { faultPlace } from '../core/fault-place.ts';
import type { Failure } from '../core/failure.ts';
import { stringAt } from '../core/json.ts';
import type { Log } from '../core/ports.ts';
import type { Cost, TokenCounts } from '../core/record.ts';
import type { Headers, RelayRequest } from '../core/relay-request.ts';
import { classifyStreamFailure } from '../routing/classify-failure.ts';
import { giveUpError } from '../routing/give-up.ts';
import { readRateLimitEvent } from '../routing/quota.ts';
import type { StickyKey } from '../routing/sticky-key.ts';
import { stickyKeys } from '../routing/sticky-key.ts';
import type { Admission } from './admission.ts';
import type { Choices } from './allowed-choices.ts';
import { allowedChoices } from './allowed-choices.ts';
import { answerHeaders } from './answer-headers.ts';
import { startJourney } from './journey.ts';
import type { Journey } from './journey.ts';
import { expectUpstream } from './expected-upstream.ts';
import { priceTokens } from './meter.ts';
import type { RelayedAnswer, RelayResult } from './relayed-answer.ts';
import { isLastUsable } from './last-usable.ts';
import type { PreludeSink } from './prelude.ts';
import { createPrelude } from './prelude.ts';
import type { AnswerEnd, RunningAttempt, TicketDeps } from './ticket.ts';
import { openTicket } from './ticket.ts';
import { toldLimits } from './told-limits.ts';
import type { ModelResult, TryModelDeps } from './try-model.ts';
import { tryModel } from './try-model.ts';

export interface RelayDeps extends TryModelDeps {
  readonly ticket: TicketDeps;
  readonly admission: Admission;
  readonly log: Log;
  /** Refuses new requests while nothing can be written: what cannot be accounted is not served. */
  readonly storageState: () => 'operational' | 'degraded' | 'full';
  /** An HMAC under a local key: conversations are known by it, so that nothing of the user's stands in memory or on disk. */
  readonly conversationDigest: (text: string) => string;
}

/**
 * One request's order of effects: what model is meant and may be used, a slot and a budget, then account after account
 * and model after model until an answer opens. Every way out is settled: a refusal here, an answer by its `settle`.
 */
export async function relayRequest(request: RelayRequest, deps: RelayDeps, signal: AbortSignal, sendAhead?: PreludeSink): Promise<RelayResult> {
  const ticket = openTicket(request, deps.ticket);
  const keys = conversationKeys(request, deps);
  const journey = startJourney({ request, ticket, signal, prelude: createPrelude(request, sendAhead), stickyKeys: keys });
  const refuse = async (end: AnswerEnd & { readonly error: RelayError }): Promise<RelayResult> => {
    await ticket.settle(end);
    const { begun } = journey.prelude;
    return {
      ok: false, error: end.error, headers: { 'x-relay-attempts': String(ticket.attempts.length) },
      ...(begun !== null && { frame: begun.errorFrame(end.error.body) }),
    };
  };
  try {
    const choices = journalableChoices(request, deps);
    deps.retries.requested();
    const lease = await deps.admission.enter({ request, model: choices[0].id, upstream: expectUpstream(request, choices[0], deps) }, signal);
    ticket.onSettle(({ record }) => lease.end(record));
    ticket.admitted();
    if (lease.reserved !== null) ticket.reserve(lease.reserved, (attempt, input) => priceInput(attempt, input, deps));
    const result = await tryChoices(journey, choices, deps);
    if (result.kind === 'open') return { ok: true, answer: relayedAnswer(journey, result, deps) };
    if (result.kind === 'abandoned') return await abandon(journey);
    return await refuse({ kind: ticket.attempts.length > 0 ? 'failed' : 'refused', error: result.error });
  } catch (error) {
    if (signal.aborted) return abandon(journey);
    if (error instanceof RelayError) return refuse({ kind: 'refused', error });
    deps.log.error('a request ran into a fault of Relay', { id: request.id, ...faultPlace(error) });
    return refuse({ kind: 'refused', error: new RelayError('internal_error', `Relay ran into a fault while it served ${request.id}; relay logs --errors tells more.`) });
  }
}

/** Names of the conversation. An answer whose history Relay holds is no longer its owner's alone to go on from. */
function conversationKeys(request: RelayRequest, deps: RelayDeps): readonly StickyKey[] {
  const { headers, body, client, model } = request;
  const keys = stickyKeys({ headers, body, clientId: client.id, model, digest: deps.conversationDigest });
  const previous = stringAt(body, 'previous_response_id');
  if (previous === undefined) return keys;
  // A platform keeps its answers for longer than conversations are followed here.
  const owner = deps.answers.ownerOf(previous);
  const key = responseKey(request, previous, deps);
  if (owner?.clientId === client.id && key !== undefined) deps.sessions.remember([key], owner.accountId, deps.clock.now());
  if (!deps.answers.isPortable(client.id, previous)) return keys;
  return keys.map((known) => (known.source === 'previous-response' ? { ...known, source: 'thread' } : known));
}

/** The client left, or Relay is going down: the signal's reason says which. */
async function abandon({ ticket, signal }: Journey): Promise<RelayResult> {
  const error = signal.reason instanceof RelayError ? signal.reason : new RelayError('upstream_error', 'The client closed the connection.');
  await ticket.settle(signal.reason instanceof RelayError ? { kind: 'failed', error } : { kind: 'client-gone' });
  return { ok: false, error, headers: {} };
}

/** The models to try, in order. Throws as {@link allowedChoices}, and while nothing can be journaled. */
function journalableChoices(request: RelayRequest, deps: RelayDeps): Choices {
  if (deps.storageState() === 'full') {
    throw new RelayError('storage_unavailable', 'The ledger cannot be written (disk full?), so nothing is served; make room and try again.', { retryAfterSeconds: 5 });
  }
  return allowedChoices(request, deps);
}

/**
 * Same-model accounts first, all of them; then the next model, if there is one. Where nobody serves any, the client is told of
 * the first one that will be served again: a fallback that does not exist says nothing of what was asked for.
 */
async function tryChoices(journey: Journey, choices: Choices, deps: RelayDeps): Promise<ModelResult> {
  const refused: Extract<ModelResult, { kind: 'nobody' }>[] = [];
  for (const choice of choices) {
    const result = await tryModel(journey, choice, deps);
    if (result.kind !== 'nobody') return result;
    refused.push(result);
  }
  return refused.find(({ error }) => error.code !== 'model_not_found') ?? refused[0] ?? { kind: 'abandoned' };
}

function relayedAnswer(journey: Journey, { answer, use, leave, prepared }: Extract<ModelResult, { kind: 'open' }>, deps: RelayDeps): RelayedAnswer {
  const { request, ticket } = journey;
  const { seen } = answer.passage;
  const requestId = answer.headers['x-request-id'] ?? answer.headers['x-oai-request-id'];
  if (requestId !== undefined) ticket.upstreamRequestId(requestId.slice(0, 128));
  remember(journey, answer.headers, use.account.id, deps);
  let ttftMs: number | null = null;
  return {
    headers: answerHeaders({
      request, account: use.account, model: use.model, attempts: ticket.attempts.length + 1, dropped: prepared?.dropped ?? [], upstream: answer.headers,
    }),
    passage: answer.passage,
    held: answer.held,
    last: answer.last,
    rest: answer.rest,
    firstOutput() {
      ttftMs ??= deps.clock.now() - use.startedAt;
      ticket.firstOutput();
    },
    broken(failure) {
      const committed = failure ?? committedFailure(answer.headers, seen.failure, deps);
      const now = deps.clock.now();
      const { paidOverflow } = deps.settings().routing;
      const wanted = { model: use.model, clientAccounts: request.client.accounts, tried: new Set<string>(), receivedAt: now, paidOverflow };
      deps.pool.failed(use, committed, isLastUsable(use.account, deps.pool.candidates(use.model, request.client.id), wanted, now));
      return giveUpError(committed, use.account.name, deps.clock.now());
    },
    async settle(end) {
      leave();
      const limits = toldLimits(seen);
      if (limits !== null) deps.pool.sawQuota(use.account, readRateLimitEvent(limits, deps.clock.now()));
      const finished = prepared === null ? null : { request, account: use.account, model: use.model, prepared, passage: answer.passage };
      if (finished !== null) deps.answers.learn(finished);
      if (end.kind === 'served') {
        deps.pool.served(use, ttftMs);
        rememberAnswer(journey, finished === null ? null : deps.answers.keep(finished), use.account.id, deps);
      }
      if (end.kind === 'client-gone') deps.pool.released(use);
      await ticket.settle(end);
    },
  };
}

/** What broke an answer after its commit point: the upstream's own error event, or an end that never came. */
function committedFailure(headers: Headers, told: RelayedAnswer['passage']['seen']['failure'], { clock }: RelayDeps): Failure {
  if (told !== null) return { ...classifyStreamFailure(told, clock.now(), headers), phase: 'committed' };
  return {
    kind: 'cut', phase: 'committed', status: null, code: 'upstream_stream_truncated', message: 'the upstream ended its stream in the middle of the answer',
    param: null, retryAt: null, bucket: null, planType: null, upstreamRequestId: null,
  };
}

/** The conversation stays where it is served now, also under the turn's own name if the upstream gave one. */
function remember({ request, stickyKeys: keys }: Journey, headers: Headers, accountId: string, deps: RelayDeps): void {
  const turnState = headers['x-codex-turn-state'];
  const turn = turnState === undefined ? [] : stickyKeys({
    headers: { 'x-codex-turn-state': turnState }, body: {}, clientId: request.client.id, model: request.model, digest: deps.conversationDigest,
  });
  // The answer it continues was made by its own account, whoever goes on from it now.
  const previous = stringAt(request.body, 'previous_response_id');
  const others = previous === undefined ? keys : keys.filter(({ key }) => key !== responseKey(request, previous, deps));
  deps.sessions.remember([...others, ...turn].map(({ key }) => key), accountId, deps.clock.now());
}

/** What a conversation is known by to whoever goes on from an answer's id. */
function responseKey({ client, model }: RelayRequest, id: string, { conversationDigest }: RelayDeps): string | undefined {
  return stickyKeys({ headers: {}, body: { previous_response_id: id }, clientId: client.id, model, digest: conversationDigest })[0]?.key;
}

/** Whoever goes on from this answer is best served where it was made. */
function rememberAnswer({ request }: Journey, responseId: string | null, accountId: string, deps: RelayDeps): void {
  const key = responseId === null ? undefined : responseKey(request, responseId, deps);
  if (key !== undefined) deps.sessions.remember([key], accountId, deps.clock.now());
}

/** What the input alone costs at the account it goes to. */
function priceInput({ account, model }: RunningAttempt, tokens: TokenCounts, { settings, clock }: RelayDeps): Cost {
  return priceTokens({ account, model, tier: null, at: clock.now(), tokens, upstreamCost: null }, settings());
}
