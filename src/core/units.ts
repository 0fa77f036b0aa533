/** A moment: milliseconds since 1970-01-01 UTC. */
export type EpochMs = number;
/** Money as an integer of 1e-9 US dollars. */
export type NanoUsd = number;
/** A price as an integer of 1e-12 US dollars per token: one dollar per million tokens is 1,000,000. */
export type PicoUsdPerToken = number;

export const SECOND_MS = 1_000;
export const MINUTE_MS = 60_000;
export const HOUR_MS = 3_600_000;
export const DAY_MS = 86_400_000;
