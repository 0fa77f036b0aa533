import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import type { Key, OnScreen, ScreenState } from '../../src/tui/screen-state.ts';
import { cursorIndex, FIRST_SCREEN, PANELS, press } from '../../src/tui/screen-state.ts';

const SCREEN: OnScreen = {
  rows: { accounts: ['personal', 'work'], running: ['r1'], list: ['a', 'b', 'c', 'd', 'e'] },
  accounts: [{ name: 'personal', state: 'ready' }, { name: 'work', state: 'paused' }], page: 3, lastScroll: 10,
};
const typed = (text: string): Key => ({ name: 'text', text });
const after = (keys: readonly Key[], state: ScreenState = FIRST_SCREEN, screen = SCREEN): ScreenState =>
  keys.reduce((current, key) => press(current, key, screen).state, state);

describe('the cursor', () => {
  test.each<[string, readonly Key[], string | null]>([
    ['down once', [{ name: 'down' }], 'b'],
    ['j twice', [typed('j'), typed('j')], 'c'],
    ['a page', [{ name: 'page-down' }], 'd'],
    ['past the end', [{ name: 'page-down' }, { name: 'page-down' }], 'e'],
    ['to the end', [typed('G')], 'e'],
    ['to the end and up', [{ name: 'end' }, { name: 'up' }], 'd'],
    ['back on the first it follows the newest', [{ name: 'down' }, { name: 'up' }], null],
    ['above the first', [{ name: 'up' }], null],
  ])('%s', (_, keys, key) => {
    expect(after(keys).cursor.list).toBe(key);
  });

  test('a row that is gone gives the first', () => {
    expect(cursorIndex(['a', 'b'], 'z')).toBe(0);
    expect(cursorIndex(['a', 'b'], 'b')).toBe(1);
  });

  test('an empty list holds it', () => {
    const empty = { ...SCREEN, rows: { ...SCREEN.rows, list: [] } };
    expect(after([{ name: 'down' }, { name: 'end' }, { name: 'enter' }], FIRST_SCREEN, empty)).toEqual(FIRST_SCREEN);
  });
});

describe('panels and views', () => {
  test('tab goes round, past panels with nothing in them', () => {
    expect(after([{ name: 'tab' }]).panel).toBe('accounts');
    expect(after([{ name: 'tab' }, { name: 'tab' }]).panel).toBe('running');
    expect(after([{ name: 'tab' }, { name: 'tab' }, { name: 'tab' }]).panel).toBe('list');
    expect(after([{ name: 'back-tab' }]).panel).toBe('running');
    const quiet = { ...SCREEN, rows: { ...SCREEN.rows, running: [] } };
    expect(after([{ name: 'back-tab' }], FIRST_SCREEN, quiet).panel).toBe('accounts');
  });

  test.each<[string, Key, Partial<ScreenState>]>([
    ['right', { name: 'right' }, { tab: 'errors' }],
    ['left goes round', { name: 'left' }, { tab: 'account' }],
    ['a number', typed('5'), { tab: 'member' }],
    ['a number without a view', typed('9'), { tab: 'requests' }],
    ['e', typed('e'), { tab: 'errors' }],
    ['t', typed('t'), { window: '7d' }],
    ['T', typed('T'), { window: '1h' }],
    ['a', typed('a'), { panel: 'accounts' }],
    ['/', typed('/'), { input: 'filter' }],
    ['?', typed('?'), { overlay: { kind: 'help', scroll: 0 } }],
    ['enter on a request', { name: 'enter' }, { overlay: { kind: 'request', id: 'a', scroll: 0 } }],
  ])('%s', (_, key, change) => {
    expect(after([key])).toEqual({ ...FIRST_SCREEN, ...change });
  });

  test('enter opens an account, a running request, and the requests of a sum', () => {
    expect(after([typed('a'), { name: 'down' }, { name: 'enter' }]).overlay).toEqual({ kind: 'account', name: 'work', scroll: 0 });
    expect(after([{ name: 'back-tab' }, { name: 'enter' }]).overlay).toEqual({ kind: 'request', id: 'r1', scroll: 0 });
    expect(after([typed('3'), { name: 'down' }, { name: 'enter' }])).toMatchObject({
      tab: 'requests',
      filter: 'b',
      overlay: { kind: 'browse' },
    });
  });

  test('another view starts at its top, the same one keeps its place', () => {
    expect(after([{ name: 'down' }, typed('2')]).cursor.list).toBeNull();
    expect(after([{ name: 'down' }, typed('1')]).cursor.list).toBe('b');
  });
});

describe('pages over the panels', () => {
  const open = after([{ name: 'enter' }]);

  test.each<[string, readonly Key[], number]>([
    ['down', [{ name: 'down' }], 1],
    ['a page', [typed(' ')], 3],
    ['to the end', [typed('G')], 10],
    ['not past it', [typed('G'), { name: 'down' }], 10],
    ['not above the top', [{ name: 'up' }], 0],
  ])('scroll: %s', (_, keys, scroll) => {
    expect(after(keys, open).overlay).toMatchObject({ kind: 'request', scroll });
  });

  test.each<[string, Key]>([
    ['escape', { name: 'escape' }],
    ['enter', { name: 'enter' }],
    ['left', { name: 'left' }],
  ])('%s goes back', (_, key) => {
    expect(after([key], open).overlay).toEqual({ kind: 'browse' });
  });

  test('keys of the panels do nothing there', () => {
    for (const letter of ['/', 't', '3', 'p']) expect(after([typed(letter)], open)).toEqual(open);
  });

  test('p and w act on the account that is open', () => {
    const account = after([typed('a'), { name: 'down' }, { name: 'enter' }]);
    expect(press(account, typed('p'), SCREEN).effect).toEqual({ kind: 'act', action: { kind: 'resume', account: 'work' } });
    expect(press(account, typed('w'), SCREEN).effect).toEqual({ kind: 'act', action: { kind: 'wake', account: 'work' } });
  });
});

describe('the filter', () => {
  test('is typed, kept, changed and cleared', () => {
    const typing = after([typed('/'), typed('q'), typed('é'), { name: 'backspace' }, typed('?')]);
    expect(typing).toMatchObject({ input: 'filter', filter: 'q?' });
    expect(after([{ name: 'enter' }], typing)).toMatchObject({ input: 'keys', filter: 'q?' });
    expect(after([{ name: 'enter' }, { name: 'escape' }], typing)).toMatchObject({ input: 'keys', filter: '' });
    expect(after([{ name: 'escape' }], typing)).toMatchObject({ input: 'keys', filter: '' });
  });

  test('takes no escape sequences from a paste', () => {
    expect(after([typed('/'), typed('a\x1b[2J\nb')]).filter).toBe('a b');
  });
});

describe('whatever is pressed', () => {
  const key: fc.Arbitrary<Key> = fc.oneof(
    fc
      .constantFrom<Key['name']>(
        'up',
        'down',
        'left',
        'right',
        'page-up',
        'page-down',
        'home',
        'end',
        'enter',
        'escape',
        'backspace',
        'tab',
        'back-tab',
      )
      .map((name): Key => (name === 'text' ? typed('x') : { name })),
    fc.constantFrom(...'qjkgGpwet/?123456789 bTaxhl').map(typed),
  );

  test('the cursor is on a row that is there, or follows the first, and the page is within its ends', () => {
    fc.assert(fc.property(fc.array(key, { maxLength: 60 }), (keys) => {
      const state = after(keys);
      for (const panel of PANELS) expect([...SCREEN.rows[panel], null]).toContain(state.cursor[panel]);
      if (state.overlay.kind !== 'browse') expect(state.overlay.scroll).toBeLessThanOrEqual(SCREEN.lastScroll);
    }));
  });

  test('ctrl-c quits', () => {
    fc.assert(fc.property(fc.array(key, { maxLength: 20 }), (keys) => {
      expect(press(after(keys), { name: 'interrupt' }, SCREEN).effect).toEqual({ kind: 'quit' });
    }));
  });
});
