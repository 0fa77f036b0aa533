/** The flags of `relay start`, as given. */
export interface StartOptions {
  readonly port?: string;
  readonly mock?: boolean;
  readonly detach?: boolean;
  readonly json?: boolean;
}
