// The yardstick: bytes from node:http to undici's dispatch and back with back-pressure, and nothing else.
import { createServer } from 'node:http';

import { Agent } from 'undici';

import { serveParent } from './child.ts';

/** What the pass-through is asked over IPC. */
export interface PassThroughQuestions {
  listen: { readonly question: { readonly upstreamPort: number }; readonly answer: { readonly port: number } };
}

const agent = new Agent({ connections: null, pipelining: 1, keepAliveTimeout: 30_000 });
let origin = '';

const server = createServer({ requestTimeout: 0, noDelay: true }, (request, response) => {
  const { host: _host, connection: _connection, ...headers } = request.headers;
  agent.dispatch({ origin, path: request.url ?? '/', method: 'POST', headers, body: request, headersTimeout: 60_000, bodyTimeout: 300_000 }, {
    onRequestStart(controller) {
      response.once('close', () => {
        if (!response.writableFinished) controller.abort(new Error('the client left'));
      });
    },
    onResponseStart(controller, status, answerHeaders) {
      const { connection: _answerConnection, 'keep-alive': _keepAlive, 'transfer-encoding': _encoding, ...kept } = answerHeaders;
      response.writeHead(status, kept);
      response.on('drain', () => controller.resume());
    },
    onResponseData(controller, chunk) {
      if (!response.write(chunk)) controller.pause();
    },
    onResponseEnd() {
      response.end();
    },
    onResponseError() {
      response.destroy();
    },
  });
});

serveParent<PassThroughQuestions>({
  listen: ({ upstreamPort }) => {
    origin = `http://127.0.0.1:${upstreamPort}`;
    return new Promise((resolve) => server.listen(0, '127.0.0.1', 1_024, () => {
      const address = server.address();
      resolve({ port: address !== null && typeof address !== 'string' ? address.port : 0 });
    }));
  },
});
