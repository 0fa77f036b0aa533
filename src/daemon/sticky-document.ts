import { join } from 'node:path';

import type { StickyDocument, StickyFile } from '../gateway/sticky-store.ts';
import { parseStickyFile } from '../gateway/sticky-store.ts';
import { JsonDocument } from '../storage/json-document.ts';

/** `sticky.json` of a home: 0600, replaced as a whole. One that cannot be read begins anew: conversations find a new account, no more. */
export function stickyDocument(home: string): StickyDocument {
  const document = new JsonDocument<StickyFile>(join(home, 'sticky.json'), parseStickyFile);
  return {
    async read() {
      const content = await document.load();
      if (content.kind === 'invalid') throw new Error(`sticky.json is not used: ${content.message}`);
      return content.kind === 'value' ? content.value : null;
    },
    write: (file) => document.write(file),
  };
}
