import type { JsonObject } from '../core/json.ts';
import type { Random } from '../core/ports.ts';
import { piecesOf } from './choose-turn.ts';
import type { Turn } from './choose-turn.ts';
import type { AnswerStep } from './steps.ts';
import type { Task } from './task.ts';

/** One piece of a stream; a delta carries output, near enough to a token. */
export interface Frame {
  readonly text: string;
  readonly isDelta: boolean;
}

/** An answer in a wire's words: as a stream and as one object. */
export interface Rendered {
  readonly frames: readonly Frame[];
  readonly whole: JsonObject;
}

/** Everything an answer is written from. */
export interface Rendering {
  readonly task: Task;
  readonly turn: Turn;
  readonly step: AnswerStep;
  /** The request's body, for the members an answer repeats. */
  readonly body: JsonObject;
  readonly random: Random;
  readonly createdAtSeconds: number;
  readonly tokens: MockTokens;
  /** `codex` leaves out of the terminal event what the ChatGPT backend leaves out. */
  readonly flavour: 'codex' | 'platform';
  /** What the account's reasoning is sealed with. */
  readonly ciphertext: string;
}

/** Counts as an upstream would report them; `cached` and `cacheWrite` are parts of `input`. */
export interface MockTokens {
  readonly input: number;
  readonly cached: number;
  readonly cacheWrite: number;
  readonly output: number;
  readonly reasoning: number;
}

/** Counts an answer: four characters of input are a token, and so is every piece of output. */
export function countTokens(task: Task, turn: Turn, cachedBefore: number): MockTokens {
  const input = Math.ceil(task.inputCharacters / 4) + 3 + task.images * 85;
  // The upstreams cache from 1,024 tokens on, in steps of 128.
  const cached = cachedBefore >= 1_024 ? Math.floor(Math.min(cachedBefore, input) / 128) * 128 : 0;
  const reasoning = turn.reasoning === null ? 0 : piecesOf(turn.reasoning).length;
  const spoken = piecesOf(turn.text ?? '').length * task.choices;
  const called = turn.calls.reduce((sum, call) => sum + Math.ceil((call.payload.length + call.name.length) / 4), 0);
  return { input, cached, cacheWrite: input >= 1_024 ? input - cached : 0, output: spoken + called + reasoning, reasoning };
}
