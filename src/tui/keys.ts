import type { Key as InkKey } from 'ink';

import type { Key } from './screen-state.ts';

/** What Ink read from the terminal, as the screen's own key; null for keys that mean nothing here. */
export function readKey(input: string, key: InkKey): Key | null {
  if (key.ctrl && input === 'c') return { name: 'interrupt' };
  if (key.ctrl && input === 'z') return { name: 'suspend' };
  if (key.upArrow) return { name: 'up' };
  if (key.downArrow) return { name: 'down' };
  if (key.leftArrow) return { name: 'left' };
  if (key.rightArrow) return { name: 'right' };
  if (key.pageUp) return { name: 'page-up' };
  if (key.pageDown) return { name: 'page-down' };
  if (key.home) return { name: 'home' };
  if (key.end) return { name: 'end' };
  if (key.return) return { name: 'enter' };
  if (key.escape) return { name: 'escape' };
  if (key.backspace || key.delete) return { name: 'backspace' };
  if (key.tab) return { name: key.shift ? 'back-tab' : 'tab' };
  if (key.ctrl || key.meta || input === '') return null;
  return { name: 'text', text: input };
}
