import { formatCountShort } from '../core/amounts.ts';
import { SECOND_MS } from '../core/units.ts';
import type { CommandContext } from './context.ts';

const BAR_CELLS = 24;

/** How far some work has come. */
export interface Progress {
  /** `share` is 0-1. */
  saw(share: number, lines: number): void;
  /** Takes the bar away. */
  end(): Promise<void>;
}

/** A bar on a terminal's stderr, drawn only once the work has taken a second; nothing where there is no terminal. */
export function showProgress(doing: string, { stderr, clock }: Pick<CommandContext, 'stderr' | 'clock'>): Progress {
  const startedAt = clock.now();
  let drawn = false;
  return {
    saw(share, lines) {
      if (!stderr.isTTY || clock.now() - startedAt < SECOND_MS) return;
      drawn = true;
      const full = Math.round(Math.min(1, Math.max(0, share)) * BAR_CELLS);
      const text = `${doing} ${'█'.repeat(full)}${'░'.repeat(BAR_CELLS - full)} ${Math.floor(share * 100)}%  ${formatCountShort(lines)} lines`;
      void stderr.write(`\r\x1b[2K${text.slice(0, Math.max(10, stderr.columns - 1))}`);
    },
    async end() {
      if (drawn) await stderr.write('\r\x1b[2K');
    },
  };
}
