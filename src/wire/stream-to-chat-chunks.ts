import type { JsonObject, JsonValue } from '../core/json.ts';
import { numberAt, objectAt, stringAt } from '../core/json.ts';
import type { PassageDeps, Seen } from './passage.ts';
import { DONE_EVENT, writeChatEvent } from './sse-writer.ts';
import { usageToChat } from './whole-usage.ts';

/** What every chunk of one answer repeats; settled by the first, so that a client sees one id. */
export interface ChunkHead {
  readonly id: string;
  /** Unix seconds. */
  readonly created: number;
  readonly model: string;
}

/** Settles a chat answer's id, time and model out of what the Responses upstream told first. */
export function createChunkHead(seen: Seen, deps: PassageDeps): { adopt(event: JsonObject): void; head(): ChunkHead } {
  let id: string | undefined;
  let created: number | undefined;
  let head: ChunkHead | null = null;
  return {
    adopt(event) {
      if (head !== null) return;
      const response = objectAt(event, 'response');
      id ??= stringAt(response, 'id');
      created ??= numberAt(response, 'created_at');
    },
    head() {
      const tail = id?.replace(/^resp_/, '');
      head ??= {
        id: tail ? `chatcmpl-${tail}` : deps.makeId('chatcmpl-'),
        created: created ?? deps.nowSeconds(),
        model: seen.model ?? deps.model,
      };
      return head;
    },
  };
}

/** Writes the chunks of one chat answer. */
export interface ChunkWriter {
  delta(delta: JsonObject, logprobs: readonly JsonValue[] | null): Uint8Array;
  /** The finish chunk, the usage chunk where the client asked for it and it is known, and `[DONE]`. */
  end(finish: string): readonly Uint8Array[];
}

/** A writer that serialises only the delta of each chunk: the envelope is made once. */
export function createChunkWriter(includeUsage: boolean, seen: Seen, head: () => ChunkHead): ChunkWriter {
  const usageNull = includeUsage ? ',"usage":null' : '';
  let prefix: string | null = null;
  const chunk = (rest: string): Uint8Array => {
    if (prefix === null) {
      const { id, created, model } = head();
      prefix = JSON.stringify({ id, object: 'chat.completion.chunk', created, model }).slice(0, -1);
    }
    const tier = seen.tier === null ? '' : `,"service_tier":${JSON.stringify(seen.tier)}`;
    return writeChatEvent(`${prefix}${tier},${rest}}`);
  };
  return {
    delta(delta, logprobs) {
      const probabilities = logprobs === null ? '' : `,"logprobs":${JSON.stringify({ content: logprobs, refusal: null })}`;
      return chunk(`"choices":[{"index":0,"delta":${JSON.stringify(delta)}${probabilities},"finish_reason":null}]${usageNull}`);
    },
    end(finish) {
      const usage = includeUsage ? usageToChat(seen.usage) : null;
      return [
        chunk(`"choices":[{"index":0,"delta":{},"finish_reason":${JSON.stringify(finish)}}]${usageNull}`),
        ...(usage === null ? [] : [chunk(`"choices":[],"usage":${JSON.stringify(usage)}`)]),
        DONE_EVENT,
      ];
    },
  };
}
