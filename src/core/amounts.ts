import type { EpochMs, NanoUsd } from './units.ts';
import { HOUR_MS, MINUTE_MS, SECOND_MS } from './units.ts';

/** Stands where nothing was measured, so that it is not taken for 0. */
export const ABSENT = '–';

const NANO = 1e9;
/** Made when first needed: the first of them takes 10 ms, which --help need not wait for. */
function numberFormat(options: Intl.NumberFormatOptions): (value: number) => string {
  let format: Intl.NumberFormat | undefined;
  return (value) => (format ??= new Intl.NumberFormat('en-US', options)).format(value);
}

const whole = numberFormat({ maximumFractionDigits: 0 });
const cents = numberFormat({ style: 'currency', currency: 'USD' });
const fine = numberFormat({ style: 'currency', currency: 'USD', minimumFractionDigits: 4, maximumFractionDigits: 4 });

/** Money in words: `$12.34`, four decimals below ten cents, `<$0.0001` for the rest that is not nothing. */
export function formatMoney(amount: NanoUsd): string {
  const dollars = amount / NANO;
  const size = Math.abs(dollars);
  if (size === 0) return '$0.00';
  if (size < 0.0001) return dollars < 0 ? '>-$0.0001' : '<$0.0001';
  return (size < 0.1 ? fine : cents)(dollars);
}

/** Money in at most seven characters: `$0.0042`, `$12.34`, `$1,235`, `$12.3k`, `$4.56M`. */
export function formatMoneyShort(amount: NanoUsd): string {
  const dollars = amount / NANO;
  const size = Math.abs(dollars);
  if (size < 1_000) return formatMoney(amount);
  const sign = dollars < 0 ? '-' : '';
  return size < 10_000 ? `${sign}$${whole(size)}` : `${sign}$${scale(size)}`;
}

/** A count in full: `1,234,567`. */
export function formatCount(count: number): string {
  return whole(count);
}

/** A count in at most five characters: `950`, `1.2k`, `18.2M`, `3.4B`. */
export function formatCountShort(count: number): string {
  return Math.abs(count) < 1_000 ? String(Math.round(count)) : scale(count);
}

function scale(value: number): string {
  let rest = value;
  for (const suffix of ['', 'k', 'M', 'B', 'T']) {
    // 999.5 would round up to 1000: it belongs to the next suffix.
    if (Math.abs(rest) < 999.5 || suffix === 'T') return `${rest.toFixed(Math.abs(rest) < 99.95 ? 1 : 0)}${suffix}`;
    rest /= 1_000;
  }
  return String(value);
}

/** A duration in at most seven characters (below a hundred days): `640ms`, `2.1s`, `48s`, `3m 05s`, `2h 05m`, `3d 4h`. */
export function formatDuration(ms: number): string {
  const rounded = Math.max(0, Math.round(ms));
  if (rounded < SECOND_MS) return `${rounded}ms`;
  if (rounded < 9_950) return `${(rounded / SECOND_MS).toFixed(1)}s`;
  const seconds = Math.round(rounded / SECOND_MS);
  if (seconds < 60) return `${seconds}s`;
  if (seconds < 3_600) return `${Math.floor(seconds / 60)}m ${pad(seconds % 60)}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 1_440) return `${Math.floor(minutes / 60)}h ${pad(minutes % 60)}m`;
  return `${Math.floor(minutes / 1_440)}d ${Math.floor((minutes % 1_440) / 60)}h`;
}

const pad = (value: number): string => String(value).padStart(2, '0');

/** How long until a moment, coarse enough to stand still for a while: `45s`, `12m`, `2h 05m`, `3d 4h`; `now` when past. */
export function formatUntil(at: EpochMs, now: EpochMs): string {
  const left = at - now;
  if (left <= 0) return 'now';
  if (left < MINUTE_MS) return `${Math.ceil(left / SECOND_MS)}s`;
  return left < HOUR_MS ? `${Math.floor(left / MINUTE_MS)}m` : formatDuration(left);
}

/** A share of 0-100 as `0%`, `0.4%`, `62%`: a decimal only where it says something. */
export function formatPercent(percent: number): string {
  if (percent > 0 && percent < 0.1) return '<0.1%';
  return `${percent < 9.95 && percent % 1 !== 0 ? percent.toFixed(1).replace(/\.0$/, '') : Math.round(percent)}%`;
}

const formats = new Map<string, Intl.DateTimeFormat>();

function moment(at: EpochMs, timeZone: string): Record<string, string> {
  let format = formats.get(timeZone);
  if (!format) {
    format = new Intl.DateTimeFormat('en-CA', {
      timeZone, hourCycle: 'h23', year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit', second: '2-digit',
    });
    formats.set(timeZone, format);
  }
  return Object.fromEntries(format.formatToParts(at).map((part) => [part.type, part.value]));
}

/** The time of day in a zone: `14:02:11`. */
export function formatTime(at: EpochMs, timeZone: string): string {
  const part = moment(at, timeZone);
  return `${part['hour']}:${part['minute']}:${part['second']}`;
}

/** Date and time in a zone: `2026-11-24 14:02:11`. */
export function formatDateTime(at: EpochMs, timeZone: string): string {
  const part = moment(at, timeZone);
  return `${part['year']}-${part['month']}-${part['day']} ${formatTime(at, timeZone)}`;
}
