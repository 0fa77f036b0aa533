/**
 * A decimal number times a power of ten, as an integer rounded half up: `scaleDecimal(0.15, 6)` is 150000. Works on the
 * digits a number is written with, so that no binary fraction creeps in. Anything that is not a finite number of 0 or
 * more, or leaves the safe integers, is null.
 */
export function scaleDecimal(value: number, digits: number): number | null {
  if (!Number.isFinite(value) || value < 0) return null;
  const written = /^(\d+)(?:\.(\d+))?(?:e([+-]\d+))?$/.exec(String(value));
  if (!written) return null;
  const [, whole = '0', fraction = '', exponent = '0'] = written;
  const shift = Number(exponent) + digits - fraction.length;
  if (shift > 40) return null;
  const coefficient = BigInt(whole + fraction);
  const scaled = shift >= 0 ? coefficient * 10n ** BigInt(shift) : divideHalfUp(coefficient, 10n ** BigInt(-shift));
  return scaled <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(scaled) : null;
}

/** Integer division of two numbers of 0 or more, rounded half up. */
export function divideHalfUp(dividend: bigint, divisor: bigint): bigint {
  return (2n * dividend + divisor) / (2n * divisor);
}
