/** What a piece of text came to after looking for stop sequences. */
export interface CutText {
  /** Text that may be sent now. */
  readonly text: string;
  /** A stop sequence was found; the text ends before it and nothing may follow. */
  readonly stopped: boolean;
  /** Which one; null where none was found. */
  readonly sequence: string | null;
}

/** Cuts text at the first of several stop sequences, holding back only what may yet become one. */
export interface StopCutter {
  take(text: string): CutText;
  /** What was held back, when no more text comes. */
  rest(): string;
}

/** A cutter for the given sequences; empty ones are ignored, and without any it holds nothing back. */
export function createStopCutter(stop: readonly string[]): StopCutter {
  const sequences = stop.filter((sequence) => sequence !== '');
  const longest = sequences.reduce((length, sequence) => Math.max(length, sequence.length), 0);
  let held = '';
  const heldLength = (text: string): number => {
    for (let length = Math.min(longest - 1, text.length); length > 0; length--) {
      const tail = text.slice(text.length - length);
      if (sequences.some((sequence) => sequence.startsWith(tail))) return length;
    }
    return 0;
  };
  return {
    take(text) {
      if (longest === 0) return { text, stopped: false, sequence: null };
      const whole = held + text;
      const hits = sequences.map((sequence) => ({ sequence, at: whole.indexOf(sequence) })).filter(({ at }) => at >= 0);
      const [first] = hits.toSorted((left, right) => left.at - right.at);
      if (first) {
        held = '';
        return { text: whole.slice(0, first.at), stopped: true, sequence: first.sequence };
      }
      const keep = heldLength(whole);
      held = whole.slice(whole.length - keep);
      return { text: whole.slice(0, whole.length - keep), stopped: false, sequence: null };
    },
    rest() {
      const text = held;
      held = '';
      return text;
    },
  };
}
