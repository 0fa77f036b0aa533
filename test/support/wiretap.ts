import type { AddressInfo, Socket } from 'node:net';
import { connect, createServer } from 'node:net';

/** A request as it went over the wire: its first line, and whether it asked for another protocol. */
export interface TappedRequest {
  /** Counted from 1, in the order the connections came. */
  readonly connection: number;
  readonly line: string;
  readonly isUpgrade: boolean;
}

/** Stands between a client and a server and notes what is asked for. */
export interface Wiretap {
  readonly host: string;
  readonly requests: readonly TappedRequest[];
  /** Where it passes everything on to; told once the server is there. */
  aim(url: string): void;
  close(): Promise<void>;
}

const HEAD = /^(?:GET|POST|DELETE|PUT|OPTIONS) \S+ HTTP\/1\.1\r\n(?:[^\r\n]+\r\n)*\r\n/gm;

/** Starts one on any port of this machine. */
export async function startWiretap(): Promise<Wiretap> {
  const requests: TappedRequest[] = [];
  const sockets = new Set<Socket>();
  let target: URL | null = null;
  let connections = 0;
  const server = createServer((client) => {
    if (target === null) return client.destroy();
    connections += 1;
    const connection = connections;
    const upstream = connect(Number(target.port), target.hostname);
    for (const [socket, other] of [[client, upstream], [upstream, client]] as const) {
      sockets.add(socket);
      socket.on('error', () => other.destroy());
      socket.on('close', () => sockets.delete(socket));
      socket.pipe(other);
    }
    client.on('data', (chunk: Buffer) => {
      for (const [head] of chunk.toString('latin1').matchAll(HEAD)) {
        requests.push({ connection, line: head.slice(0, head.indexOf(' HTTP/')), isUpgrade: /^upgrade: *websocket\r?$/im.test(head) });
      }
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    host: `127.0.0.1:${port}`,
    requests,
    aim(url) {
      target = new URL(url);
    },
    close: () => new Promise((resolve) => {
      server.close(() => resolve());
      for (const socket of sockets) socket.destroy();
    }),
  };
}
