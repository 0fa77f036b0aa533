/** The longest name either API takes for a tool, and the characters it may have (OpenAI SDK 7.57, 2026-11). */
const LONGEST_NAME = 64;
const LEGAL_NAME = /^[A-Za-z0-9_-]{1,64}$/;

/** A tool as its client named it. */
export interface DeclaredName {
  readonly name: string;
  readonly namespace: string | null;
}

/**
 * The names of one request's tools on their way to the upstream: too long ones shortened, characters it refuses
 * replaced, namespaces flattened, never two alike. The same declared name always gives the same sent name.
 */
export class ToolNames {
  readonly #sent = new Map<string, string>();
  readonly #declared = new Map<string, DeclaredName>();
  /** Plain name -> sent name, of the first tool of that name in a namespace. */
  readonly #namespaced = new Map<string, string>();
  readonly #reserved: ReadonlySet<string>;

  /** `reserved`: plain names the client declared, which no shortened or flattened one may take. */
  constructor(reserved: Iterable<string>) {
    this.#reserved = new Set(reserved);
  }

  /**
   * The name the upstream is given for a tool, wherever it is mentioned. A call that leaves out its namespace means the
   * tool of that name in one, unless a plain one is declared.
   */
  sent(name: string, namespace: string | null = null): string {
    const key = JSON.stringify([namespace, name]);
    const known = this.#sent.get(key);
    if (known !== undefined) return known;
    const implied = namespace === null && !this.#reserved.has(name) ? this.#namespaced.get(name) : undefined;
    if (implied !== undefined) return implied;
    const wanted = flattened(name, namespace);
    const sent = wanted === name && LEGAL_NAME.test(name) ? name : this.#free(shortened(wanted));
    this.#sent.set(key, sent);
    if (namespace !== null && !this.#namespaced.has(name)) this.#namespaced.set(name, sent);
    if (!this.#declared.has(sent)) this.#declared.set(sent, { name, namespace });
    return sent;
  }

  /** Sent name -> declared name, of those that differ. */
  changed(): Readonly<Record<string, DeclaredName>> {
    return Object.fromEntries([...this.#declared].filter(([sent, { name, namespace }]) => namespace !== null || sent !== name));
  }

  #free(wanted: string): string {
    let candidate = wanted;
    for (let number = 2; this.#reserved.has(candidate) || this.#declared.has(candidate); number++) {
      const suffix = `_${number}`;
      candidate = wanted.slice(0, LONGEST_NAME - suffix.length) + suffix;
    }
    return candidate;
  }
}

/** `ns__name`, unless the name already says where it is from. */
function flattened(name: string, namespace: string | null): string {
  if (namespace === null || name.startsWith('mcp__') || name.startsWith(namespace)) return name;
  return `${namespace}__${name}`;
}

/** MCP names keep their mark and their last, telling part. */
function shortened(declared: string): string {
  const name = declared.replaceAll(/[^A-Za-z0-9_-]/g, '_');
  if (name.length <= LONGEST_NAME) return name;
  const last = name.slice(name.lastIndexOf('__') + 2);
  const telling = name.startsWith('mcp__') && last !== '' ? `mcp__${last}` : name;
  return telling.slice(0, LONGEST_NAME);
}
