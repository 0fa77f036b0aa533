import type { Random } from '../core/ports.ts';

/** An id as upstreams make them: a prefix and 24 characters. */
export function mockId(prefix: string, random: Random): string {
  return `${prefix}${Buffer.from(random.bytes(12)).toString('hex')}`;
}
