import type { JsonObject, JsonValue } from '../core/json.ts';
import { isJsonObject, stringAt } from '../core/json.ts';
import type { Random } from '../core/ports.ts';
import type { Exchange } from './exchange.ts';
import { mockId } from './mock-id.ts';
import { sendJson } from './play-step.ts';

/** An answer the platform keeps, and the account that may come back to it. */
export interface StoredAnswer {
  readonly account: string;
  readonly response: JsonObject;
  readonly input: readonly JsonObject[];
}

/** Answers by id, oldest first. */
export type StoredAnswers = Map<string, StoredAnswer>;

const MOST_STORED = 10_000;

/** An answer and the request it was made for. */
interface MadeAnswer {
  readonly account: string;
  readonly response: JsonObject;
  readonly body: JsonObject;
}

/** Keeps an answer unless the request said not to. */
export function storeAnswer(stored: StoredAnswers, { account, response, body }: MadeAnswer, random: Random): void {
  const id = stringAt(response, 'id');
  if (body['store'] === false || id === undefined) return;
  stored.set(id, { account, response, input: inputItems(body['input'], random) });
  const [oldest] = stored.keys();
  if (stored.size > MOST_STORED && oldest !== undefined) stored.delete(oldest);
}

/** `GET` and `DELETE /responses/{id}`, `GET …/input_items`, `POST …/cancel`, as the platform answers them (2026-11). */
export function serveStored(exchange: Exchange, path: string, account: string, stored: StoredAnswers): void {
  exchange.request.resume();
  const { method } = exchange.record;
  const [, id = '', rest = ''] = /^responses\/([^/]+)(?:\/(.+))?$/.exec(path) ?? [];
  const found = stored.get(decodeURIComponent(id));
  if (found === undefined || found.account !== account) {
    const message = `Response with id '${id}' not found.`;
    return sendJson(exchange, 404, { error: { message, type: 'invalid_request_error', param: null, code: null } });
  }
  if (method === 'GET' && rest === 'input_items') {
    const data = found.input.toReversed();
    const [first, last] = [data[0]?.['id'] ?? null, data.at(-1)?.['id'] ?? null];
    return sendJson(exchange, 200, { object: 'list', data, first_id: first, last_id: last, has_more: false });
  }
  if (method === 'POST' && rest === 'cancel') return cancel(exchange, id, found, stored);
  if (method === 'DELETE') stored.delete(id);
  sendJson(exchange, 200, method === 'DELETE' ? { id, object: 'response', deleted: true } : found.response);
}

function cancel(exchange: Exchange, id: string, found: StoredAnswer, stored: StoredAnswers): void {
  if (found.response['background'] !== true) {
    const message = 'Cannot cancel a synchronous response.';
    return sendJson(exchange, 400, { error: { message, type: 'invalid_request_error', param: null, code: null } });
  }
  const response = { ...found.response, status: 'cancelled' };
  stored.set(id, { ...found, response });
  sendJson(exchange, 200, response);
}

function inputItems(input: JsonValue | undefined, random: Random): JsonObject[] {
  const text = (said: string): JsonObject => ({ type: 'message', role: 'user', content: [{ type: 'input_text', text: said }] });
  const items = typeof input === 'string' ? [text(input)] : (Array.isArray(input) ? input : []).filter(isJsonObject);
  return items.map((item) => ({ id: mockId('msg_', random), ...item }));
}
