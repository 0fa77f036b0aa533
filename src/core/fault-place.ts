/**
 * Where a bug showed, for the log: the error's name, and the innermost place in Relay's own files. Its message is left out:
 * a parser's quotes what it read, and that may be a prompt.
 */
export function faultPlace(error: unknown): { readonly error: string; readonly at: string } {
  if (!(error instanceof Error)) return { error: typeof error, at: 'unknown' };
  const at = /^\s+at .*?\b((?:src|dist)\/[\w./-]{1,120}:\d+)/m.exec(error.stack ?? '')?.[1];
  return { error: /^\w{1,60}$/.test(error.name) ? error.name : 'Error', at: at ?? 'unknown' };
}
