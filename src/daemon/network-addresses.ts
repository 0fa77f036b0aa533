import { networkInterfaces } from 'node:os';

/**
 * Addresses under which this machine reaches others: another set means another network. Link-local ones come and go with
 * every virtual interface and say nothing. Empty where the system does not tell.
 */
export function networkAddresses(): readonly string[] {
  try {
    return Object.entries(networkInterfaces()).flatMap(([name, entries]) =>
      (entries ?? []).filter(({ internal, address }) => !internal && !isLinkLocal(address)).map(({ address }) => `${name}/${address}`));
  } catch {
    return [];
  }
}

function isLinkLocal(address: string): boolean {
  return address.startsWith('169.254.') || /^fe[89ab]/i.test(address);
}
