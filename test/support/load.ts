import type { RunningRelay } from './start-relay.ts';

/** What the clients of a load saw: the ids of answers they got to the very end. */
export interface Load {
  readonly acknowledged: ReadonlySet<string>;
  /** Stops asking and waits for what runs. */
  stop(): Promise<void>;
}

export interface LoadOptions {
  readonly clients: number;
  readonly model: string;
  readonly key: string;
}

/** Clients that ask without pause, two of three for a stream, on both wires; each notes what it got whole. */
export function startLoad(relay: Pick<RunningRelay, 'url'>, { clients, model, key }: LoadOptions): Load {
  const acknowledged = new Set<string>();
  const ending = new AbortController();
  const runClient = async (number: number): Promise<void> => {
    for (let turn = 0; !ending.signal.aborted; turn++) {
      const stream = (number + turn) % 3 !== 0;
      const isChat = (number + turn) % 2 === 0;
      const id = await askOnce({ url: relay.url, key, model, stream, isChat, text: `client ${number} turn ${turn}` });
      if (id !== null) acknowledged.add(id);
      else if (!ending.signal.aborted) await new Promise((resolve) => setImmediate(resolve));
    }
  };
  const all = Promise.all(Array.from({ length: clients }, (_, number) => runClient(number)));
  return {
    acknowledged,
    async stop() {
      ending.abort();
      await all;
    },
  };
}

interface Ask {
  readonly url: string;
  readonly key: string;
  readonly model: string;
  readonly stream: boolean;
  readonly isChat: boolean;
  readonly text: string;
}

/** The request's id when its answer came whole, to its final event; null when it broke anywhere. */
async function askOnce({ url, key, model, stream, isChat, text }: Ask): Promise<string | null> {
  try {
    const response = await fetch(`${url}/v1/${isChat ? 'chat/completions' : 'responses'}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: JSON.stringify(isChat ? { model, stream, messages: [{ role: 'user', content: text }] } : { model, stream, input: text }),
    });
    const body = await response.text();
    if (response.status !== 200) return null;
    const isWhole = !stream || (isChat ? body.endsWith('data: [DONE]\n\n') : body.includes('event: response.completed\n'));
    return isWhole ? response.headers.get('x-request-id') : null;
  } catch {
    return null;
  }
}
