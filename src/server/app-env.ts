import type { HttpBindings } from '@hono/node-server';

import type { Client } from '../core/client.ts';
import type { Reply } from './reply.ts';

/** What every route has at hand once the door and the key were passed. */
export interface AppEnv {
  Bindings: HttpBindings;
  Variables: { reply: Reply; requestId: string; client: Client };
}
