import type { ByteSource, TransportFailure } from '../core/byte-source.ts';
import type { Send, UpstreamCall } from '../core/ports.ts';
import type { Headers } from '../core/relay-request.ts';

/** An answer read to its end, its body as text. */
export interface WholeAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: string;
}

export type WholeResult = { readonly ok: true; readonly answer: WholeAnswer } | { readonly ok: false; readonly failure: TransportFailure };

/** Sends a call and reads its answer whole. One longer than `limitBytes` is an `invalid-response`. Never rejects. */
export async function sendWhole(
  send: Send,
  call: UpstreamCall,
  { limitBytes, signal }: { readonly limitBytes: number; readonly signal: AbortSignal },
): Promise<WholeResult> {
  const sent = await send(call, signal);
  if (!sent.ok) return { ok: false, failure: sent.failure };
  const read = await readBody(sent.answer.body, limitBytes);
  if (!read.ok) return read;
  return { ok: true, answer: { status: sent.answer.status, headers: sent.answer.headers, body: read.body } };
}

type ReadResult = { readonly ok: true; readonly body: string } | { readonly ok: false; readonly failure: TransportFailure };

/** Reads a body to its end as UTF-8, or gives up past the limit and frees the socket. Never rejects. */
export function readBody(source: ByteSource, limitBytes: number): Promise<ReadResult> {
  return new Promise((resolve) => {
    const chunks: Uint8Array[] = [];
    let size = 0;
    source.start({
      onBytes(chunk) {
        size += chunk.byteLength;
        chunks.push(chunk);
        if (size <= limitBytes) return;
        source.destroy();
        resolve({
          ok: false,
          failure: { kind: 'invalid-response', code: 'answer_too_large', message: `The answer was longer than ${limitBytes} bytes.` },
        });
      },
      onEnd: () => resolve({ ok: true, body: Buffer.concat(chunks).toString('utf8') }),
      onFailure: (failure) => resolve({ ok: false, failure }),
    });
  });
}
