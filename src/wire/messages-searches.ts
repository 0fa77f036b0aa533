import type { JsonObject } from '../core/json.ts';
import { arrayAt, isJsonObject, objectAt, stringAt } from '../core/json.ts';
import type { BlockQueue } from './messages-blocks.ts';
import type { Slot } from './stream-to-chat-slots.ts';

/**
 * Web searches that the upstream ran, as the blocks of Anthropic's own: the call, and the pages it found. An upstream
 * that does not list them tells them by what it cites, so their block comes at the end.
 */
export class WebSearches {
  readonly #blocks: BlockQueue;
  readonly #makeId: (prefix: string) => string;
  readonly #told = new Set<Slot>();
  readonly #unlisted: string[] = [];
  readonly #cited = new Map<string, string>();

  constructor(blocks: BlockQueue, makeId: (prefix: string) => string) {
    this.#blocks = blocks;
    this.#makeId = makeId;
  }

  get count(): number {
    return this.#told.size;
  }

  /** Takes a finished search; false for what is none, such as opening a page, and for one that was told. */
  take(slot: Slot, item: JsonObject): boolean {
    const action = objectAt(item, 'action');
    const query = stringAt(action, 'query') ?? stringAt({ query: arrayAt(action, 'queries')?.[0] }, 'query');
    if (query === undefined || this.#told.has(slot)) return false;
    this.#told.add(slot);
    const id = this.#makeId('srvtoolu_');
    const call = this.#blocks.open({ type: 'server_tool_use', id, name: 'web_search', input: {} });
    this.#blocks.add(call, { type: 'input_json_delta', partial_json: JSON.stringify({ query }) });
    this.#blocks.close(call);
    const sources = (arrayAt(action, 'sources') ?? []).filter(isJsonObject).flatMap((source) => {
      const url = stringAt(source, 'url');
      return url === undefined ? [] : [result(url, stringAt(source, 'title') ?? url)];
    });
    if (sources.length > 0) this.#tell(id, sources);
    else this.#unlisted.push(id);
    return true;
  }

  /** A citation of the upstream's as one of a search's result. */
  cite(annotation: JsonObject): JsonObject {
    const url = stringAt(annotation, 'url') ?? '';
    const title = stringAt(annotation, 'title') ?? url;
    if (url !== '') this.#cited.set(url, title);
    return { type: 'web_search_result_location', url, title, encrypted_index: '', cited_text: '' };
  }

  /** Tells the results of searches that listed none: the first has all that was cited. */
  end(): void {
    for (const [position, id] of this.#unlisted.splice(0).entries()) {
      this.#tell(id, position === 0 ? [...this.#cited].map(([url, title]) => result(url, title)) : []);
    }
  }

  #tell(id: string, content: JsonObject[]): void {
    this.#blocks.close(this.#blocks.open({ type: 'web_search_tool_result', tool_use_id: id, content }));
  }
}

function result(url: string, title: string): JsonObject {
  return { type: 'web_search_result', url, title, encrypted_content: '', page_age: null };
}
