import type { JsonValue } from '../core/json.ts';

/** What one answered request added to a conversation. */
export interface Turn {
  readonly responseId: string;
  /** The remembered answer it continued; null where it began anew. */
  readonly previousId: string | null;
  /** Its own input, then its output, as the client sent and saw them. */
  readonly items: readonly JsonValue[];
  /** The items' size as JSON text. */
  readonly bytes: number;
}

/** What was said on one connection, so that its client may send only what is new. */
export interface ConnectionMemory {
  /** Everything said up to and with an answer; undefined when it is unknown or forgotten. */
  recall(responseId: string): readonly JsonValue[] | undefined;
  /** Keeps a turn. A conversation larger than the connection's share is forgotten: the next request brings all of it. */
  remember(turn: Turn): void;
  close(): void;
}

/** The conversations of all connections together. */
export interface ConversationMemory {
  /** Bytes held now, counted as JSON text. */
  readonly held: number;
  open(): ConnectionMemory;
}

export interface MemoryLimits {
  /** For the conversations of one connection. */
  readonly connectionBytes: number;
  /** For all of them: the one unused for longest goes first. */
  readonly totalBytes: number;
}

/** Conversations of one connection that are kept beside each other, and answers of each that can be continued. */
const CONVERSATIONS = 8;
const ANSWERS = 64;

interface Conversation {
  /** Everything up to and with each answer, by its id, oldest first. Items are shared between them. */
  readonly answers: Map<string, readonly JsonValue[]>;
  bytes: number;
  forget(): void;
}

/** An empty memory; `limits` is asked each time, so that settings take effect at once. */
export function createConversationMemory(limits: () => MemoryLimits): ConversationMemory {
  /** Least recently used first. */
  const all = new Set<Conversation>();
  const touch = (conversation: Conversation): void => {
    all.delete(conversation);
    all.add(conversation);
  };
  const sum = (conversations: Iterable<Conversation>): number => [...conversations].reduce((total, { bytes }) => total + bytes, 0);
  const forgetUntil = (conversations: Set<Conversation>, fits: () => boolean): void => {
    for (const conversation of conversations) {
      if (fits()) return;
      conversation.forget();
    }
  };

  return {
    get held() {
      return sum(all);
    },
    open() {
      const own = new Set<Conversation>();
      const begin = (): Conversation => {
        const conversation: Conversation = {
          answers: new Map(),
          bytes: 0,
          forget() {
            own.delete(conversation);
            all.delete(conversation);
          },
        };
        return conversation;
      };
      const holding = (responseId: string): Conversation | undefined => [...own].find(({ answers }) => answers.has(responseId));

      return {
        recall(responseId) {
          const conversation = holding(responseId);
          if (conversation !== undefined) touch(conversation);
          return conversation?.answers.get(responseId);
        },
        remember({ responseId, previousId, items, bytes }) {
          const continued = previousId === null ? undefined : holding(previousId);
          const before = previousId === null ? undefined : continued?.answers.get(previousId);
          const conversation = continued ?? begin();
          // Ids are an upstream's own: one that comes twice means the newer answer.
          holding(responseId)?.answers.delete(responseId);
          conversation.answers.set(responseId, [...(before ?? []), ...items]);
          conversation.bytes += bytes;
          for (const oldest of conversation.answers.keys()) {
            if (conversation.answers.size <= ANSWERS) break;
            conversation.answers.delete(oldest);
          }
          own.delete(conversation);
          own.add(conversation);
          touch(conversation);
          const { connectionBytes, totalBytes } = limits();
          forgetUntil(own, () => own.size <= CONVERSATIONS && sum(own) <= connectionBytes);
          forgetUntil(all, () => sum(all) <= totalBytes);
        },
        close() {
          for (const conversation of own) conversation.forget();
        },
      };
    },
  };
}
