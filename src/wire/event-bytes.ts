const LF = 10;
const CR = 13;
const COLON = 58;

/**
 * Tells whether pieces of an event stream hold anything of an event: a byte of a line that is no comment. An upstream that
 * sends part of an event is answering; one that sends comments only is alive and no more.
 */
export function createEventBytes(): (chunk: Uint8Array) => boolean {
  let place: 'line-start' | 'comment' | 'event' = 'line-start';
  return (chunk) => {
    let found = false;
    for (const byte of chunk) {
      if (byte === LF || byte === CR) place = 'line-start';
      else if (place === 'line-start') place = byte === COLON ? 'comment' : 'event';
      found ||= place === 'event';
    }
    return found;
  };
}
