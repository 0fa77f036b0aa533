import type { JsonObject } from '../core/json.ts';
import { arrayAt, numberAt, objectAt, parseJsonObject, stringAt } from '../core/json.ts';

/** Adds up the events of a Messages stream to the message a client without streaming asked for. */
export interface MessageFold {
  take(event: JsonObject): void;
  message(): JsonObject;
}

/** An empty fold. A tool's input that is no JSON object, as in an answer cut inside it, stays empty. */
export function createMessageFold(): MessageFold {
  let message: JsonObject = {};
  const blocks: JsonObject[] = [];
  const inputs = new Map<number, string>();
  return {
    take(event) {
      const index = numberAt(event, 'index') ?? 0;
      switch (event['type']) {
        case 'message_start':
          message = { ...objectAt(event, 'message') };
          return;
        case 'content_block_start':
          blocks[index] = { ...objectAt(event, 'content_block') };
          return;
        case 'content_block_delta': {
          const block = blocks[index];
          const delta = objectAt(event, 'delta');
          if (!block || !delta) return;
          if (delta['type'] === 'input_json_delta') inputs.set(index, (inputs.get(index) ?? '') + (stringAt(delta, 'partial_json') ?? ''));
          else addDelta(block, delta);
          return;
        }
        case 'message_delta':
          message = { ...message, ...objectAt(event, 'delta'), usage: { ...objectAt(message, 'usage'), ...objectAt(event, 'usage') } };
      }
    },
    message: () => ({
      ...message,
      content: blocks.map((block, index) => {
        const input = parseJsonObject(inputs.get(index) ?? '');
        return input ? { ...block, input } : block;
      }),
    }),
  };
}

function addDelta(block: JsonObject, delta: JsonObject): void {
  switch (delta['type']) {
    case 'text_delta':
      block['text'] = (stringAt(block, 'text') ?? '') + (stringAt(delta, 'text') ?? '');
      return;
    case 'thinking_delta':
      block['thinking'] = (stringAt(block, 'thinking') ?? '') + (stringAt(delta, 'thinking') ?? '');
      return;
    case 'signature_delta':
      block['signature'] = stringAt(delta, 'signature') ?? '';
      return;
    case 'citations_delta':
      block['citations'] = [...(arrayAt(block, 'citations') ?? []), delta['citation'] ?? null];
  }
}
