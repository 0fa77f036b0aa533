import { RelayError } from '../core/errors.ts';
import type { HostedTool } from './hosted-tools.ts';
import type { CustomTool } from './prepared-request.ts';
import type { DeclaredName, ToolNames } from './tool-names.ts';

/** Call ids longer than this are refused (Responses API, OpenAPI 2.3.0, 2026-08). */
const LONGEST_CALL_ID = 64;
/** Room for a digest that never meets another of the same request. */
const SHORT_CALL_ID = 45;

/** What a translation writes down on its way: what was not honoured, and what the answer must be undone by. */
export class RequestNotes {
  readonly customTools = new Map<string, CustomTool>();
  /** Free-form tools told a Responses upstream as functions. */
  readonly wrappedTools: DeclaredName[] = [];
  readonly hostedTools = new Map<string, HostedTool>();
  /** Shortened -> the client's own. */
  readonly callIds = new Map<string, string>();
  readonly names: ToolNames;
  stop: readonly string[] = [];
  readonly #strict: boolean;
  readonly #digest: (text: string) => string;
  readonly #dropped = new Set<string>();

  constructor(strict: boolean, names: ToolNames, digest: (text: string) => string) {
    this.#strict = strict;
    this.names = names;
    this.#digest = digest;
  }

  /** Notes a parameter that is left out. In strict mode it is refused instead: 400 with `param`. */
  drop(name: string, param: string = name): void {
    if (this.#strict) {
      throw new RelayError('unsupported_parameter', `'${param}' is not supported by the upstream that serves this model. `
        + 'Leave it out, or set "strict" to false to have it dropped.', { param });
    }
    this.#dropped.add(name);
  }

  /** Notes a parameter sent with another value than asked, as `name:asked->sent`. In strict mode it is refused instead. */
  adjust(param: string, asked: string | number, sent: string | number): void {
    if (asked === sent) return;
    if (this.#strict) {
      throw new RelayError('unsupported_value', `'${param}' cannot be ${asked} at the upstream that serves this model; `
        + `the nearest it takes is ${sent}.`, { param });
    }
    this.#dropped.add(`${param}:${asked}->${sent}`);
  }

  /** The call id as sent: the client's own, or a digest of it where that is too long. */
  callId(id: string, longest: number = LONGEST_CALL_ID): string {
    if (id.length <= longest) return id;
    const short = `call_${this.#digest(id)}`.slice(0, Math.min(longest, SHORT_CALL_ID));
    this.callIds.set(short, id);
    return short;
  }

  /** Everything noted as not honoured, sorted. */
  dropped(): readonly string[] {
    return [...this.#dropped].toSorted();
  }
}
