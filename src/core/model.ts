/** A model as an account's own catalogue describes it. Absent facts stay null: nothing is guessed. */
export interface Model {
  readonly id: string;
  readonly displayName: string | null;
  readonly contextTokens: number | null;
  /** Reasoning efforts it takes, in the catalogue's words and order; empty when it has none. */
  readonly efforts: readonly string[];
  readonly defaultEffort: string | null;
  readonly inputModalities: readonly string[];
  /** The catalogue's own entry, kept whole for Codex's `models` list; null for plain lists. */
  readonly raw: Readonly<Record<string, unknown>> | null;
}
