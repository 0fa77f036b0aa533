import { CredentialStoreError } from '../core/ports.ts';

const CHOICES = 'or choose the vault: relay config set keychain file';

/**
 * What keytar and the libraries below it say, and what it means. The texts of D-Bus and libsecret were seen with keytar 7.10
 * and libsecret 0.20, 2026-11; those of macOS are the system's own names for its errors, not seen here.
 */
const MEANINGS: readonly (readonly [pattern: RegExp, state: CredentialStoreError['state'], message: string])[] = [
  [
    /locked collection|prompt was dismissed|IsLocked|interaction is not allowed|keychain .*locked/i,
    'locked',
    `The OS keychain is locked. Unlock it and try again, ${CHOICES}.`,
  ],
  [
    /user (name or passphrase|cancel)|denied|not permitted|authorization/i,
    'denied',
    `The OS keychain denied access. Allow Relay there and try again, ${CHOICES}.`,
  ],
  [
    /autolaunch D-Bus|DBUS_SESSION_BUS_ADDRESS|connect to D-?Bus|Could not connect|Connection refused/i,
    'unavailable',
    `No OS keychain reachable (no D-Bus session). Start one, ${CHOICES}.`,
  ],
  [
    /org\.freedesktop\.secrets|ServiceUnknown|StartServiceByName/i,
    'unavailable',
    `No OS keychain reachable (the session has no secret service, such as GNOME Keyring or KWallet). Start one, ${CHOICES}.`,
  ],
  [
    /libsecret|native addon|Cannot find (module|package)|ERR_DLOPEN|ERR_MODULE_NOT_FOUND/i,
    'unavailable',
    `No OS keychain reachable (the keychain module or libsecret is missing). Install libsecret, ${CHOICES}.`,
  ],
];

/** Puts a keychain's error into Relay's terms, with the command that mends it. Holds no secret. */
export function describeKeychainError(error: unknown): CredentialStoreError {
  if (error instanceof CredentialStoreError) return error;
  const text = error instanceof Error ? `${'code' in error ? String(error.code) : ''} ${error.message}` : String(error);
  const meaning = MEANINGS.find(([pattern]) => pattern.test(text));
  if (meaning !== undefined) return new CredentialStoreError(meaning[1], meaning[2], { cause: error });
  return new CredentialStoreError('unavailable', `The OS keychain failed. Try: relay doctor, ${CHOICES}.`, { cause: error });
}

/** A keychain that did not answer in time: mostly one that waits for a person to unlock it. */
export function keychainSilent(timeoutMs: number): CredentialStoreError {
  return new CredentialStoreError(
    'locked',
    `The OS keychain did not answer within ${Math.round(timeoutMs / 1_000)} s; it may be waiting to be unlocked. ` +
      `Unlock it and try again, ${CHOICES}.`,
  );
}
