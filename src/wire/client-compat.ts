import type { JsonObject } from '../core/json.ts';
import { objectAt, stringAt } from '../core/json.ts';
import type { ReasoningField } from './reasoning-field.ts';

/** What one client wants told otherwise than most: the user's settings for it. */
export interface ClientCompat {
  readonly reasoningField?: ReasoningField | undefined;
  /** How calls of free-form tools come back to a chat client, whichever way it declared them. */
  readonly customTools?: 'custom' | 'function' | undefined;
}

/** The field for one answer. Think tags would break an answer that is to be JSON, so that one gets its reasoning beside it. */
export function reasoningFieldFor(compat: ClientCompat | undefined, body: JsonObject): ReasoningField | undefined {
  const field = compat?.reasoningField;
  if (field !== 'think-tags') return field;
  const format = stringAt(body['response_format'], 'type') ?? stringAt(objectAt(body['text'], 'format'), 'type') ?? 'text';
  return format === 'text' ? field : 'reasoning_content';
}
