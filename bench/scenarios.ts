import type { Scenario } from './scenario.ts';

/** Every kind of traffic that is measured, by name. */
export interface ScenarioSet {
  readonly small: Scenario;
  readonly smallAlone: Scenario;
  readonly large: Scenario;
  readonly spliceChat: Scenario;
  readonly spliceResponses: Scenario;
  readonly spliceCodex: Scenario;
  readonly responsesToChat: Scenario;
  readonly chatToResponses: Scenario;
  readonly firstWord: Scenario;
  readonly idle: Scenario;
  readonly slow: Scenario;
}

/** How much of each scenario one round runs. */
export interface Sizes {
  readonly small: number;
  readonly large: number;
  readonly streams: number;
  readonly events: number;
  readonly gapMs: number;
  readonly firstWords: number;
  readonly idle: number;
  readonly slow: number;
  readonly slowEvents: number;
  readonly slowGapMs: number;
}

/** A round of the full bench: enough of each that a round's CPU is tenths of a second. */
export const FULL: Sizes = { small: 1_500, large: 30, streams: 20, events: 300, gapMs: 5, firstWords: 400, idle: 500, slow: 1_000, slowEvents: 8, slowGapMs: 1_000 };

/** A round of the smoke test: a few of each, to see that they work. */
export const TINY: Sizes = { small: 20, large: 1, streams: 3, events: 10, gapMs: 2, firstWords: 5, idle: 10, slow: 20, slowEvents: 3, slowGapMs: 20 };

const SMALL_BYTES = 200;
const TURN_BYTES = 8_192;
const LARGE_BYTES = 10 * 1_024 * 1_024;

/** The scenarios at these sizes. */
export function scenariosAt(sizes: Sizes): ScenarioSet {
  const stream = { answer: { kind: 'stream', events: sizes.events, gapMs: sizes.gapMs }, bodyBytes: TURN_BYTES, concurrency: sizes.streams, requests: sizes.streams } as const;
  const whole = { answer: { kind: 'whole' }, client: 'chat', upstream: 'chat' } as const;
  return {
    small: { ...whole, name: 'small request', bodyBytes: SMALL_BYTES, concurrency: 8, requests: sizes.small },
    smallAlone: { ...whole, name: 'small request, one at a time', bodyBytes: SMALL_BYTES, concurrency: 1, requests: Math.ceil(sizes.small / 3) },
    large: { ...whole, name: '10 MB request', bodyBytes: LARGE_BYTES, concurrency: 2, requests: sizes.large },
    spliceChat: { ...stream, name: 'stream chat', client: 'chat', upstream: 'chat' },
    spliceResponses: { ...stream, name: 'stream responses', client: 'responses', upstream: 'responses' },
    spliceCodex: { ...stream, name: 'stream codex', client: 'responses', upstream: 'codex' },
    responsesToChat: { ...stream, name: 'stream responses over chat', client: 'responses', upstream: 'chat' },
    chatToResponses: { ...stream, name: 'stream chat over responses', client: 'chat', upstream: 'responses' },
    firstWord: {
      name: 'first word', client: 'responses', upstream: 'responses', answer: { kind: 'stream', events: 2, gapMs: 1 }, bodyBytes: TURN_BYTES, concurrency: 1, requests: sizes.firstWords,
    },
    idle: { name: 'idle streams', client: 'responses', upstream: 'responses', answer: { kind: 'hold' }, bodyBytes: TURN_BYTES, concurrency: sizes.idle, requests: sizes.idle },
    slow: {
      name: 'slow streams', client: 'responses', upstream: 'responses', answer: { kind: 'stream', events: sizes.slowEvents, gapMs: sizes.slowGapMs },
      bodyBytes: TURN_BYTES, concurrency: sizes.slow, requests: sizes.slow,
    },
  };
}
