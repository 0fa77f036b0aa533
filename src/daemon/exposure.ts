import type { Config } from '../core/config.ts';
import type { Log } from '../core/ports.ts';

/** From where else than this machine Relay can be reached by its settings; null when from nowhere. */
export function exposureOf({ server }: Pick<Config, 'server'>): string | null {
  const hosts = server.allowedHosts.length === 0 ? [] : [`requests for ${server.allowedHosts.join(', ')} (server.allowedHosts)`];
  const origins = server.allowedOrigins.length === 0 ? [] : [`web pages of ${server.allowedOrigins.join(', ')} (server.allowedOrigins)`];
  const both = [...hosts, ...origins];
  if (both.length === 0) return null;
  return `Relay also answers ${both.join(' and ')}: whoever has a client key can use your accounts from there`;
}

/** Says so in the log, at the start and whenever the settings change. */
export function warnOfExposure(settings: Pick<Config, 'server'>, log: Log): void {
  const exposure = exposureOf(settings);
  if (exposure !== null) log.warn(exposure);
}
