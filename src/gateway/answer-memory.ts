import type { Account } from '../core/account.ts';
import type { JsonObject, JsonValue } from '../core/json.ts';
import { arrayAt, isJsonObject, stringAt } from '../core/json.ts';
import type { Clock } from '../core/ports.ts';
import type { RelayRequest } from '../core/relay-request.ts';
import { DAY_MS } from '../core/units.ts';
import { expandKnownReferences, inputItems } from '../wire/expand-input.ts';
import type { Passage } from '../wire/passage.ts';
import type { PreparedRequest, RequestMemory } from '../wire/prepared-request.ts';
import { holdsForeignHistory } from './foreign-history.ts';
import type { ReasoningReplay } from './reasoning-replay.ts';
import { createReasoningReplay } from './reasoning-replay.ts';
import { createRecentMap } from './recent-map.ts';
import { itemsWithoutCiphertext } from './request-traits.ts';
import type { KeptResponse, ResponseStore } from './response-store.ts';
import { createResponseStore } from './response-store.ts';

/** One attempt's view: whose request it is, and where it goes. */
export interface AttemptScope {
  readonly clientId: string;
  readonly account: Account;
  readonly model: string;
  /** `removed` after an upstream could not read what another had sealed: nothing sealed is sent again. */
  readonly ciphertext: 'kept' | 'removed';
}

/** An answer that came to its end. */
export interface FinishedAnswer {
  readonly request: RelayRequest;
  readonly account: Account;
  readonly model: string;
  readonly prepared: PreparedRequest;
  readonly passage: Passage;
}

/** Who may go on from an answer's id. */
export interface ResponseOwner {
  readonly clientId: string;
  readonly accountId: string;
}

/** What Relay remembers of answers so that clients can go on from them. In memory alone. */
export interface AnswerMemory {
  readonly responses: ResponseStore;
  /** What a request's preparation may look up. */
  forAttempt(scope: AttemptScope): RequestMemory;
  /**
   * How a request can go on from an answer at an account: with its history `written-out`, with the id `passed-on` to the
   * upstream that keeps it, or not at all.
   */
  continuation(scope: Pick<AttemptScope, 'clientId' | 'account'>, id: string): 'written-out' | 'passed-on' | 'unknown';
  /** Whether any account can go on from it; then its owner is preferred, not required. */
  isPortable(clientId: string, id: string): boolean;
  /** Who an answer belongs to, also after its content was forgotten, if its upstream keeps it. */
  ownerOf(id: string): ResponseOwner | undefined;
  /** Keeps an answer that came to its end, and gives the id it is kept under; null when it is not kept. */
  keep(answer: FinishedAnswer): string | null;
  /** Takes the reasoning for the next turn of a client that has no place for it, also of an answer that did not come to its end. */
  learn(answer: FinishedAnswer): void;
  /** The upstream would not have the reasoning sent with these items: it is not replayed again. */
  distrust(scope: Omit<AttemptScope, 'ciphertext'>, sent: JsonObject): void;
  forget(clientId: string, id: string): boolean;
}

export interface AnswerMemoryDeps {
  readonly clock: Clock;
  /** Lower-case hex, at least 32 characters. */
  readonly digest: (text: string) => string;
  readonly responses?: ResponseStore;
  readonly reasoning?: ReasoningReplay;
}

/** The platform keeps answers for 30 days (2026-11); Relay remembers whose they are as long as it runs, within bounds. */
const OWNERS = { count: 20_000, bytes: Number.MAX_SAFE_INTEGER, idleMs: 30 * DAY_MS };

/** A memory that knows nothing yet. */
export function createAnswerMemory(deps: AnswerMemoryDeps): AnswerMemory {
  const responses = deps.responses ?? createResponseStore(deps.clock);
  const reasoning = deps.reasoning ?? createReasoningReplay(deps.clock);
  const owners = createRecentMap<ResponseOwner>(deps.clock, OWNERS);

  const isLeftUpstream = (kept: KeptResponse, { account, ciphertext }: Pick<AttemptScope, 'account' | 'ciphertext'>): boolean =>
    kept.keptUpstream && kept.accountId === account.id && ciphertext === 'kept';

  const continuation: AnswerMemory['continuation'] = ({ clientId, account }, id) => {
    const owner = owners.get(id);
    if (owner !== undefined && owner.clientId !== clientId) return 'unknown';
    const kept = responses.find(clientId, id);
    if (kept !== undefined && isLeftUpstream(kept, { account, ciphertext: 'kept' })) return 'passed-on';
    if (kept?.isWhole === true) return 'written-out';
    // An id from before Relay was started, or from elsewhere, is the platform's to know.
    return keepsAnswers(account) && (owner === undefined || owner.accountId === account.id) ? 'passed-on' : 'unknown';
  };

  return {
    responses,
    continuation,
    isPortable(clientId, id) {
      const kept = responses.find(clientId, id);
      return kept?.isWhole === true && !holdsForeignHistory({ input: [...kept.conversation()] });
    },
    ownerOf: (id) => owners.get(id),
    forAttempt: (scope) => ({
      storedResponse(id) {
        const kept = responses.find(scope.clientId, id);
        if (kept === undefined || !kept.isWhole || isLeftUpstream(kept, scope)) return undefined;
        const conversation = kept.conversation();
        return { input: scope.ciphertext === 'kept' ? conversation : itemsWithoutCiphertext(conversation), output: [] };
      },
      storedItem(id) {
        const found = responses.findItem(scope.clientId, id);
        if (found === undefined || isLeftUpstream(found.of, scope)) return undefined;
        return scope.ciphertext === 'kept' ? found.item : itemsWithoutCiphertext([found.item])[0];
      },
      reasoningFor: (callId) => (scope.ciphertext === 'kept' ? reasoning.before(replayScope(scope), callId) : undefined),
      digest: deps.digest,
    }),
    keep({ request, account, model, prepared, passage }) {
      const response = passage.response();
      const id = stringAt(response ?? {}, 'id');
      const isWanted = request.endpoint === 'responses' && request.clientWire === 'responses' && request.body['store'] !== false;
      if (!isWanted || response === null || id === undefined) return null;
      const clientId = request.client.id;
      const keptUpstream = keepsAnswers(account) && prepared.answer.upstreamWire === 'responses' && prepared.body['store'] !== false;
      const previousId = stringAt(request.body, 'previous_response_id') ?? null;
      const output = passage.items().length > 0 ? passage.items() : (arrayAt(response, 'output') ?? []).filter(isJsonObject);
      if (keptUpstream) owners.set(id, { clientId, accountId: account.id });
      responses.keep({
        clientId, id, previousId, output, keptUpstream, model, accountId: account.id, provider: account.provider,
        input: ownInput(request.body, (itemId) => responses.findItem(clientId, itemId)?.item),
        response: { ...response, previous_response_id: previousId, store: true },
      });
      return id;
    },
    learn({ request, account, model, prepared: { answer }, passage }) {
      // A Messages client gives back what it was shown; one that was shown no thinking is like a chat client.
      const isKeptHere = answer.clientWire === 'chat' || answer.messages?.thinking === 'off';
      if (!isKeptHere && answer.dialect !== 'gemini') return;
      reasoning.learn(replayScope({ clientId: request.client.id, account, model }), passage.items());
    },
    distrust(scope, sent) {
      for (const item of arrayAt(sent, 'input') ?? []) {
        const callId = stringAt(item, 'call_id');
        if (callId !== undefined) reasoning.forget(replayScope(scope), callId);
      }
    },
    forget(clientId, id) {
      if (owners.get(id)?.clientId === clientId) owners.delete(id);
      return responses.forget(clientId, id);
    },
  };
}

/** Whether an account's upstream keeps answers when asked to: only the platform's own store does. */
export function keepsAnswers(account: Account): boolean {
  return account.kind === 'openai' || account.kind === 'azure';
}

function replayScope({ clientId, account, model }: Omit<AttemptScope, 'ciphertext'>) {
  return { clientId, accountId: account.id, model };
}

/** What this request added to the conversation; items that ask for one answer's compaction are no part of it. */
function ownInput(body: JsonObject, find: (itemId: string) => JsonValue | undefined): readonly JsonValue[] {
  const given = typeof body['input'] === 'string' ? inputItems(body) : (arrayAt(body, 'input') ?? []);
  const memory = { storedResponse: () => undefined, reasoningFor: () => undefined, digest: () => '', storedItem: find };
  const input = arrayAt(expandKnownReferences({ input: [...given] }, memory), 'input') ?? [];
  return input.filter((item) => stringAt(item, 'type') !== 'compaction_trigger');
}
