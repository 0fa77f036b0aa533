import type { Account } from '../core/account.ts';
import { RelayError } from '../core/errors.ts';
import type { JsonObject, JsonValue } from '../core/json.ts';
import { isJsonObject, stringAt } from '../core/json.ts';
import type { OwnCall } from '../core/provider-adapter.ts';
import type { State } from '../core/state.ts';
import { giveUpError } from '../routing/give-up.ts';
import type { AnswerMemory } from './answer-memory.ts';
import { keepsAnswers } from './answer-memory.ts';
import type { OwnCallDeps } from './own-call.ts';
import { ownCall } from './own-call.ts';
import type { KeptResponse } from './response-store.ts';
import { isUnderWay } from './response-store.ts';

/** Who asks for which answer. */
export interface ResponseCall {
  readonly clientId: string;
  readonly id: string;
  /** The query as it came, `?` included, for the upstream that has to be asked; '' without one. */
  readonly search: string;
}

/** Which part of a list is wanted. */
export interface ItemPage {
  readonly limit: number;
  readonly order: 'asc' | 'desc';
  /** The id of the item before the first wanted one; null for the beginning. */
  readonly after: string | null;
}

/**
 * Answers by their id, as the Responses API has them: out of Relay's own memory, or asked of the platform that keeps
 * them, for those the client got from there. Throws `not_found` for unknown ids and for another client's.
 */
export interface StoredResponses {
  retrieve(call: ResponseCall, signal: AbortSignal): Promise<JsonObject>;
  /** Forgets the answer here and at the platform. */
  remove(call: ResponseCall, signal: AbortSignal): Promise<JsonObject>;
  inputItems(call: ResponseCall, page: ItemPage, signal: AbortSignal): Promise<JsonObject>;
  /** Ends a background run at the platform; any other answer is over already, and refused. */
  cancel(call: ResponseCall, signal: AbortSignal): Promise<JsonObject>;
}

export interface StoredResponsesDeps extends OwnCallDeps {
  readonly answers: AnswerMemory;
  readonly state: () => State;
}

/** What is known of an answer: its content, the account whose upstream keeps it, or both. */
interface Known {
  readonly kept: KeptResponse | undefined;
  readonly keeper: Account | undefined;
}

/** The stored answers over the gateway's memory and the accounts. */
export function createStoredResponses(deps: StoredResponsesDeps): StoredResponses {
  const know = ({ clientId, id }: ResponseCall): Known => {
    const kept = deps.answers.responses.find(clientId, id);
    const owner = deps.answers.ownerOf(id);
    const accountId = owner?.clientId === clientId ? owner.accountId : undefined;
    const keeper = deps.state().accounts.find((account) => account.id === accountId && keepsAnswers(account));
    if (kept === undefined && keeper === undefined) throw notFound(id);
    return { kept, keeper };
  };
  const ask = async (keeper: Account, { id, search }: ResponseCall, { rest, method }: Asked, signal: AbortSignal): Promise<JsonObject> => {
    const path = `/${encodeURIComponent(id)}${rest}${search}`;
    const answer = await ownCall(keeper, (adapter, context): OwnCall => ({
      method, path: adapter.path('responses') + path, headers: adapter.headers(context),
    }), deps, signal);
    if (answer === null) throw notFound(id);
    if (answer.ok && isJsonObject(answer.body)) return answer.body;
    if (answer.ok) throw new RelayError('upstream_invalid_response', `Account '${keeper.name}' answered with no JSON object.`);
    if (answer.failure.status === 404) throw notFound(id);
    throw giveUpError(answer.failure, keeper.name, deps.clock.now());
  };

  return {
    retrieve(call, signal) {
      const { kept, keeper } = know(call);
      const isTold = kept !== undefined && !isUnderWay(kept.response);
      if (isTold || keeper === undefined) return Promise.resolve(kept?.response ?? {});
      return ask(keeper, call, { method: 'GET', rest: '' }, signal);
    },
    async remove(call, signal) {
      const { keeper } = know(call);
      if (keeper !== undefined) await ask(keeper, call, { method: 'DELETE', rest: '' }, signal).catch(unlessGone);
      deps.answers.forget(call.clientId, call.id);
      return { id: call.id, object: 'response', deleted: true };
    },
    async inputItems(call, page, signal) {
      const { kept, keeper } = know(call);
      if (kept?.isWhole === true || keeper === undefined) return pageOf(kept, page);
      return ask(keeper, call, { method: 'GET', rest: '/input_items' }, signal);
    },
    async cancel(call, signal) {
      const { kept, keeper } = know(call);
      const isBackground = kept === undefined || kept.response['background'] === true;
      if (keeper !== undefined && isBackground) return ask(keeper, call, { method: 'POST', rest: '/cancel' }, signal);
      const message = 'Only a response made with "background": true can be cancelled; this one is over.';
      throw new RelayError('invalid_request_error', message, { param: 'response_id' });
    },
  };
}

interface Asked {
  readonly method: 'GET' | 'POST' | 'DELETE';
  /** Path behind the answer's id. */
  readonly rest: string;
}

/** What the upstream has forgotten already needs no deleting. */
function unlessGone(error: unknown): void {
  if (!(error instanceof RelayError) || error.code !== 'not_found') throw error;
}

function pageOf(kept: KeptResponse | undefined, { limit, order, after }: ItemPage): JsonObject {
  const items = kept === undefined ? [] : kept.history().map((item, index) => listed(item, kept.id, index));
  const ordered = order === 'asc' ? items : items.toReversed();
  const start = after === null ? 0 : ordered.findIndex(({ id }) => id === after) + 1;
  if (after !== null && start === 0) {
    const message = `No input item with id '${after.slice(0, 80)}' belongs to this response.`;
    throw new RelayError('invalid_request_error', message, { param: 'after' });
  }
  const data = ordered.slice(start, start + limit);
  const [first, last] = [data[0]?.['id'] ?? null, data.at(-1)?.['id'] ?? null];
  return { object: 'list', data, first_id: first, last_id: last, has_more: start + limit < ordered.length };
}

/** An item as a list shows it: with a type, an id to go on from, and content in parts. */
function listed(item: JsonValue, responseId: string, index: number): JsonObject {
  const given: JsonObject = isJsonObject(item) ? item : { content: item };
  const type = stringAt(given, 'type') ?? 'message';
  const { content } = given;
  const text = given['role'] === 'assistant' ? 'output_text' : 'input_text';
  return {
    ...given,
    type,
    id: stringAt(given, 'id') ?? `${type === 'message' ? 'msg' : 'item'}_${responseId.replace(/^resp_/, '')}_${index}`,
    ...(type === 'message' && { status: given['status'] ?? 'completed' }),
    ...(type === 'message' && typeof content === 'string' && { content: [{ type: text, text: content }] }),
  };
}

function notFound(id: string): RelayError {
  return new RelayError('not_found', `Response with id '${id.replaceAll(/[^\x21-\x7e]/g, '?').slice(0, 80)}' not found.`);
}
