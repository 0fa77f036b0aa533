import type { Headers } from '../core/relay-request.ts';

/**
 * What a Codex client says of itself and its conversation (Codex 0.169, observed 2026-11), passed on as it came. The
 * older spellings are those of 2025 clients.
 */
const PROTOCOL = new Set([
  'openai-beta', 'session-id', 'thread-id', 'session_id', 'thread_id', 'conversation_id', 'x-client-request-id',
  'x-codex-beta-features', 'x-codex-turn-state', 'x-codex-window-id', 'x-codex-parent-thread-id', 'x-openai-subagent',
  'x-openai-memgen-request', 'x-openai-internal-codex-responses-lite', 'x-responsesapi-include-timing-metrics',
]);
/** For the ChatGPT backend alone: the client's name, and its turn, which tells of the working copy. */
const BACKEND = new Set([
  'originator', 'user-agent', 'version', 'x-codex-turn-metadata', 'x-codex-routing-hint', 'x-openai-internal-codex-residency',
]);
/** Bound to the client's own login or device: never passed on, whatever prefix they share. */
const WITHHELD = new Set([
  'x-codex-installation-id',
  'x-openai-account-routing-override',
  'x-oai-attestation',
  'x-oai-is',
  'x-openai-fedramp',
]);

/**
 * The headers of a Codex client that an upstream of its own family may see. `backend` is ChatGPT, which gets also
 * newer `x-codex-*` headers this list does not know; `platform` the OpenAI API. Credentials, forwarding and
 * transport headers are not among them, and a value that is not printable ASCII is left out, since it breaks the call.
 */
export function codexHeaders(headers: Headers, upstream: 'backend' | 'platform'): Headers {
  const passes = (name: string): boolean =>
    !WITHHELD.has(name) && (PROTOCOL.has(name) || (upstream === 'backend' && (BACKEND.has(name) || name.startsWith('x-codex-'))));
  return Object.fromEntries(
    Object.entries(headers)
      .map(([name, value]) => [name.toLowerCase(), value] as const)
      .filter(([name, value]) => passes(name) && /^[\t\u0020-\u007e]*$/.test(value)),
  );
}
