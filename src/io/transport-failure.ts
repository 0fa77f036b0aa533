import type { TransportFailure } from '../core/byte-source.ts';

/** Node's codes for a peer whose certificate is not to be trusted: expired, another host's, self-signed, unknown issuer. */
const CERTIFICATE = /^(CERT_|UNABLE_TO_|ERR_TLS_CERT|DEPTH_ZERO|SELF_SIGNED|CRL_|HOSTNAME_MISMATCH|INVALID_CA|INVALID_PURPOSE|PATH_LENGTH)/;
const TLS = /^(ERR_SSL|ERR_TLS|EPROTO)/;

/** Codes that say no connection was made, so nothing can have been processed. */
const UNREACHABLE: Readonly<Record<string, readonly [code: string, says: string]>> = {
  ECONNREFUSED: ['connect_refused', 'refused the connection'],
  ENOTFOUND: ['dns', 'has no address: its name could not be resolved'],
  EAI_AGAIN: ['dns', 'has no address: name resolution is not available now'],
  EAI_FAIL: ['dns', 'has no address: name resolution failed'],
  UND_ERR_CONNECT_TIMEOUT: ['connect_timeout', 'did not take the connection in time'],
  ENETUNREACH: ['network_unreachable', 'cannot be reached: there is no route to it'],
  EHOSTUNREACH: ['network_unreachable', 'cannot be reached: there is no route to it'],
  ENETDOWN: ['network_unreachable', 'cannot be reached: the network is down'],
  EADDRNOTAVAIL: ['network_unreachable', 'cannot be reached: no local address is free for it'],
  EMFILE: ['no_sockets', 'cannot be reached: this process has no file descriptor left'],
  ENFILE: ['no_sockets', 'cannot be reached: this machine has no file descriptor left'],
  UND_ERR_PRX_TLS: ['proxy_failed', 'cannot be reached: the proxy failed its TLS handshake'],
  UND_ERR_PRX_CONN: ['proxy_failed', 'cannot be reached: the proxy refused'],
};

/** Where the exchange stood when it failed. */
export type ExchangePhase = 'connect' | 'request' | 'headers' | 'body';

/** Puts an error of undici's or Node's into the gateway's terms. `host` is named in the message, nothing else of the call is. */
export function describeTransportError(error: unknown, phase: ExchangePhase, host: string): TransportFailure {
  const code = codeOf(error);
  const text = error instanceof Error ? error.message : '';
  const failure = (kind: TransportFailure['kind'], ours: string, says: string): TransportFailure => ({
    kind,
    code: ours,
    message: `${host} ${says}.`,
  });

  if (CERTIFICATE.test(code)) return failure('certificate-invalid', 'certificate', `has a TLS certificate that is not trusted (${code})`);
  const unreachable = UNREACHABLE[code];
  if (unreachable !== undefined && phase !== 'body') return failure('unreachable', ...unreachable);
  if (phase === 'connect') return describeConnectError(code, text, failure);
  return describeExchangeError(code, text, phase, failure);
}

type Describe = (kind: TransportFailure['kind'], code: string, says: string) => TransportFailure;

function describeConnectError(code: string, text: string, failure: Describe): TransportFailure {
  if (code === 'ETIMEDOUT') return failure('unreachable', 'connect_timeout', 'did not take the connection in time');
  if (TLS.test(code)) return failure('unreachable', 'tls_handshake', `failed the TLS handshake (${code})`);
  if (text.includes('Proxy response')) return failure('unreachable', 'proxy_failed', 'cannot be reached: the proxy refused');
  if (text.includes('secure TLS connection was established') || code === 'ECONNRESET' || code === 'UND_ERR_SOCKET') {
    return failure('unreachable', 'connect_reset', 'closed the connection while it was being made');
  }
  if (code === 'UND_ERR_INVALID_ARG')
    return failure('unreachable', 'invalid_call', 'was not called: the call has an invalid header or address');
  return failure('unreachable', 'connect_failed', `cannot be reached${code === '' ? '' : ` (${code})`}`);
}

function describeExchangeError(code: string, text: string, phase: ExchangePhase, failure: Describe): TransportFailure {
  if (code === 'UND_ERR_HEADERS_TIMEOUT')
    return failure('timed-out', 'headers_timeout', 'took the request and did not begin to answer in time');
  if (code === 'UND_ERR_BODY_TIMEOUT') return failure('timed-out', 'idle_timeout', 'fell silent in the middle of its answer');
  if (code === 'UND_ERR_HEADERS_OVERFLOW') {
    return failure('invalid-response', 'headers_too_large', 'answered with headers beyond the limit');
  }
  if (code === 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH') return failure('cut', 'eof', 'ended its answer before it was complete');
  // undici 8.12 leaves the parser's own code out, so its words have to tell an early end from a broken message.
  if (code === 'HTTPParserError' && !text.includes('EOF'))
    return failure('invalid-response', 'invalid_http', 'answered with something that is not HTTP');
  if (text === 'bad response' || text === 'bad upgrade') {
    return failure('invalid-response', 'invalid_http', 'answered with a status that nothing asked for');
  }
  if (TLS.test(code)) return failure('cut', 'tls_broken', `broke the TLS connection (${code})`);
  if (code === 'ECONNRESET' || code === 'EPIPE' || code === 'ETIMEDOUT') {
    return failure(
      'cut',
      'reset',
      phase === 'body' ? 'reset the connection in the middle of its answer' : 'reset the connection before it answered',
    );
  }
  return failure(
    'cut',
    'eof',
    phase === 'body' ? 'closed the connection in the middle of its answer' : 'closed the connection before it answered',
  );
}

function codeOf(error: unknown): string {
  if (typeof error !== 'object' || error === null) return '';
  if ('name' in error && error.name === 'HTTPParserError') return 'HTTPParserError';
  if ('code' in error && typeof error.code === 'string' && error.code !== 'UND_ERR_INFO') return error.code;
  return 'cause' in error ? codeOf(error.cause) : '';
}
