import type { JsonObject, JsonValue } from '../core/json.ts';
import { arrayAt, isJsonObject, objectAt, stringAt } from '../core/json.ts';
import type { Headers } from '../core/relay-request.ts';

/** What a conversation is recognised by, strongest first. */
export type StickySource =
  | 'turn-state' | 'previous-response' | 'file' | 'thread' | 'session' | 'cache-key' | 'metadata' | 'client-header' | 'fingerprint';

/** A conversation's name: a digest, so that nothing of the user's stands in memory or on disk. */
export interface StickyKey {
  readonly key: string;
  readonly source: StickySource;
}

/** Where a key is read from. `digest` is an HMAC under a local key, handed in to keep this room pure. */
export interface StickyInput {
  readonly headers: Headers;
  readonly body: JsonObject;
  readonly clientId: string;
  readonly model: string;
  readonly digest: (text: string) => string;
}

const THREAD_HEADERS = [
  'thread-id', 'thread_id', 'x-codex-thread-id', 'conversation_id', 'conversation-id', 'x-codex-conversation-id',
] as const;
const SESSION_HEADERS = ['session-id', 'session_id', 'x-codex-session-id'] as const;
const PARENT_HEADERS = ['x-codex-parent-thread-id'] as const;
const OTHER_HEADERS = [
  'x-session-id', 'x-session-affinity', 'x-opencode-session', 'x-conversation-id', 'x-chat-id', 'helicone-session-id',
] as const;
const METADATA_IDS = ['thread_id', 'session_id', 'conversation_id', 'chat_id'] as const;
const FINGERPRINT_CHARACTERS = 512;
const LONGEST_ID = 4_096;
const CONVERSATION_CHARACTERS = 12;
const MOST_ITEMS_SEARCHED = 400;

/**
 * Every name the request's conversation goes by, strongest first, so that a lookup can fall back from one not seen yet
 * (a new turn, a subagent's thread) to one that was. Ids of different clients never meet. The fingerprint stands only
 * where nothing else does, and not at all without a first user text: unknown is not the same as equal.
 */
export function stickyKeys(input: StickyInput): readonly StickyKey[] {
  const { headers, body } = input;
  const metadata = objectAt(body, 'client_metadata') ?? objectAt(body, 'metadata');
  const session = firstHeader(headers, SESSION_HEADERS);
  const thread = firstHeader(headers, THREAD_HEADERS);
  const found: readonly (readonly [StickySource, string | undefined])[] = [
    ['turn-state', headers['x-codex-turn-state'] ?? stringAt(metadata, 'x-codex-turn-state')],
    ['previous-response', stringAt(body, 'previous_response_id')],
    ['file', fileIdIn(body)],
    ['thread', thread],
    ['thread', firstHeader(headers, PARENT_HEADERS)],
    ['session', session],
    ['cache-key', stringAt(body, 'prompt_cache_key') ?? stringAt(body, 'promptCacheKey')],
    ...METADATA_IDS.map((name) => ['metadata', stringAt(metadata, name)] as const),
    ...OTHER_HEADERS.map((name) => ['client-header', headers[name]] as const),
  ];
  const keys = found.flatMap(([source, id]) => (isUsableId(id) ? [keyOf(source, id, input)] : []));
  const named = keys.filter((key, index) => keys.findIndex((other) => other.key === key.key) === index);
  if (named.length > 0) return named;
  const text = fingerprintText(body, input.model);
  return text === null ? [] : [keyOf('fingerprint', text, input)];
}

/** The strongest name of the request's conversation; null when it has none. */
export function stickyKey(input: StickyInput): StickyKey | null {
  return stickyKeys(input)[0] ?? null;
}

/** True for keys whose owner alone can go on: an upstream's own response or file means nothing elsewhere. */
export function isOwnerBound(source: StickySource): boolean {
  return source === 'previous-response' || source === 'file';
}

/**
 * A short name for the conversation that stays the same from turn to turn, for the journal: part of a digest, so that turns
 * can be told to belong together and nothing else. Null where only one turn's or one answer's own names are known.
 */
export function conversationOf(keys: readonly StickyKey[]): string | null {
  const lasting = keys.find(({ source }) => NAMED_BY_CLIENT.has(source) || source === 'fingerprint');
  return lasting === undefined ? null : lasting.key.slice(0, CONVERSATION_CHARACTERS);
}

const NAMED_BY_CLIENT: ReadonlySet<StickySource> = new Set(['thread', 'session', 'cache-key', 'metadata', 'client-header']);

function keyOf(source: StickySource, id: string, { clientId, digest }: StickyInput): StickyKey {
  // Codex sends its thread as header, cache key and metadata alike: one name, whatever it was read from.
  const kind = NAMED_BY_CLIENT.has(source) ? 'id' : source;
  return { key: digest(JSON.stringify([kind, clientId, id])), source };
}

function isUsableId(id: string | undefined): id is string {
  return id !== undefined && id.trim() !== '' && id.length <= LONGEST_ID;
}

function firstHeader(headers: Headers, names: readonly string[]): string | undefined {
  const name = names.find((candidate) => isUsableId(headers[candidate]));
  return name === undefined ? undefined : headers[name];
}

/** The first uploaded file the input names; only its owner's account can read it. */
function fileIdIn(body: JsonObject): string | undefined {
  for (const item of (arrayAt(body, 'input') ?? arrayAt(body, 'messages') ?? []).slice(0, MOST_ITEMS_SEARCHED)) {
    for (const part of arrayAt(item, 'content') ?? []) {
      const id = stringAt(part, 'file_id') ?? stringAt(objectAt(part, 'file'), 'file_id');
      if (id !== undefined) return id;
    }
  }
  return undefined;
}

/** Model class, start of the instructions, start of the first user text; null without the latter. */
function fingerprintText(body: JsonObject, model: string): string | null {
  const items = arrayAt(body, 'input') ?? arrayAt(body, 'messages') ?? [];
  const firstText = typeof body['input'] === 'string' ? body['input'] : textOfFirst(items, (role) => role === 'user');
  if (firstText.trim() === '') return null;
  const instructions = stringAt(body, 'instructions') ?? '';
  const opening = instructions !== '' ? instructions : textOfFirst(items, (role) => role === 'system' || role === 'developer');
  return JSON.stringify([modelClass(model), opening.slice(0, FINGERPRINT_CHARACTERS), firstText.slice(0, FINGERPRINT_CHARACTERS)]);
}

function textOfFirst(items: readonly JsonValue[], isWanted: (role: string | undefined) => boolean): string {
  for (const item of items) {
    if (!isJsonObject(item) || !isWanted(stringAt(item, 'role'))) continue;
    const content = item['content'];
    if (typeof content === 'string') return content;
    const text = (arrayAt(item, 'content') ?? []).map((part) => stringAt(part, 'text') ?? '').join('\n');
    if (text.trim() !== '') return text;
  }
  return '';
}

/** A model without vendor prefix and date: `openai/gpt-6-sol-2026-09-01` and `gpt-6-sol` are of one class. */
export function modelClass(model: string): string {
  const bare = model.slice(model.lastIndexOf('/') + 1).toLowerCase();
  return bare.replace(/-\d{4}-\d{2}-\d{2}$|-\d{8}$/, '');
}
