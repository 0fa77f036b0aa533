import { createParser } from 'eventsource-parser';

/** The largest single event taken in, in characters. Real ones reach 16 MiB (images inside an item). */
export const MAX_EVENT_SIZE = 32 * 1024 * 1024;

/** One server-sent event with data; comments, ids and retry times are not told. */
export interface SseEvent {
  readonly name: string | null;
  readonly data: string;
}

/** Reads server-sent events out of bytes cut anywhere, also inside a character. */
export interface SseReader {
  push(chunk: Uint8Array): void;
  /** Delivers a last event that lacks its blank line: more lenient than the standard, as several upstreams need. */
  end(): void;
  /** True once an event passed {@link MAX_EVENT_SIZE}; nothing is read from then on. */
  readonly overflowed: boolean;
}

/** A reader that calls `onEvent` in order. Takes LF, CR and CRLF; never throws on any bytes. */
export function createSseReader(onEvent: (event: SseEvent) => void, maxEventSize: number = MAX_EVENT_SIZE): SseReader {
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  let overflowed = false;
  const parser = createParser({
    maxBufferSize: maxEventSize,
    onEvent: ({ event, data }) => onEvent({ name: event ?? null, data }),
    onError: (error) => {
      if (error.type === 'max-buffer-size-exceeded') overflowed = true;
    },
  });
  const feed = (text: string): void => {
    if (!overflowed && text !== '') parser.feed(text);
  };
  return {
    push: (chunk) => feed(decoder.decode(chunk, { stream: true })),
    end: () => feed(`${decoder.decode()}\n\n`),
    get overflowed() {
      return overflowed;
    },
  };
}
