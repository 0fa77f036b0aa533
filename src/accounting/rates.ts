import type { PicoUsdPerToken } from '../core/units.ts';
import { scaleDecimal } from './decimal.ts';

/** What a token of each sort costs, in 1e-12 USD. */
export interface Rates {
  /** Input that was neither read from nor written to the cache. */
  readonly input: PicoUsdPerToken;
  readonly cached: PicoUsdPerToken;
  readonly cacheWrite: PicoUsdPerToken;
  /** Output, reasoning included. */
  readonly output: PicoUsdPerToken;
}

/** USD per million tokens, as price pages say it. A missing cache price means that those tokens cost what input costs. */
export interface UsdPerMillion {
  readonly input: number;
  readonly cached?: number | undefined;
  readonly cacheWrite?: number | undefined;
  readonly output: number;
}

/** Rates from dollars per million tokens, or null when a price is no number of 0 or more. */
export function ratesFromUsd(price: UsdPerMillion): Rates | null {
  const input = scaleDecimal(price.input, 6);
  const cached = scaleDecimal(price.cached ?? price.input, 6);
  const cacheWrite = scaleDecimal(price.cacheWrite ?? price.input, 6);
  const output = scaleDecimal(price.output, 6);
  return input === null || cached === null || cacheWrite === null || output === null ? null : { input, cached, cacheWrite, output };
}

/** All four rates times `percent` of a hundred: 200 doubles, 50 halves. Rounded half up to whole 1e-12 USD. */
export function scaleRates(rates: Rates, percent: number): Rates {
  return scaleSides(rates, { input: percent, output: percent });
}

/** Rates with the input side (cache included) and the output side scaled apart, in percent. */
export function scaleSides(rates: Rates, percent: { readonly input: number; readonly output: number }): Rates {
  return {
    input: scale(rates.input, percent.input),
    cached: scale(rates.cached, percent.input),
    cacheWrite: scale(rates.cacheWrite, percent.input),
    output: scale(rates.output, percent.output),
  };
}

function scale(rate: PicoUsdPerToken, percent: number): PicoUsdPerToken {
  return Math.floor((rate * percent + 50) / 100);
}
