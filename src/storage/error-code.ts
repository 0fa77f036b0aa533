import { StorageError } from '../core/ports.ts';

/** Node's error code (`ENOSPC`, `EIO`, …), or null. */
export function errorCode(error: unknown): string | null {
  if (typeof error !== 'object' || error === null || !('code' in error)) return null;
  return typeof error.code === 'string' ? error.code : null;
}

/** What went wrong in words; file paths may be in it, contents never are. */
export function errorText(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

const REASONS: Readonly<Record<string, StorageError['reason']>> = {
  ENOSPC: 'full', EDQUOT: 'full', EFBIG: 'full',
  EROFS: 'read-only', EACCES: 'read-only', EPERM: 'read-only',
  ENOENT: 'gone', ENOTDIR: 'gone', ESTALE: 'gone',
};

/** Turns a file system's error into the port's, with what could not be done in front. */
export function toStorageError(error: unknown, doing: string): StorageError {
  if (error instanceof StorageError) return error;
  const reason = REASONS[errorCode(error) ?? ''] ?? 'io';
  return new StorageError(reason, `${doing}: ${errorText(error)}`, { cause: error });
}
