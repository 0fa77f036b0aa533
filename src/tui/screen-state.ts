import { printable } from '../core/printable.ts';
import type { AccountView } from '../core/views.ts';
import type { AccountAction } from './source.ts';
import type { Tone } from './spans.ts';
import type { TimeWindow } from './time-window.ts';
import { TIME_WINDOWS } from './time-window.ts';

/** What the list at the bottom shows: requests, or sums by one dimension. */
export const TABS = ['requests', 'errors', 'model', 'client', 'member', 'project', 'account'] as const;
export type Tab = (typeof TABS)[number];

/** The parts of the screen that can hold the cursor, from top to bottom. */
export const PANELS = ['accounts', 'running', 'list'] as const;
export type Panel = (typeof PANELS)[number];

/** What lies over the panels; `browse` is nothing. */
export type Overlay =
  | { readonly kind: 'browse' }
  | { readonly kind: 'help'; readonly scroll: number }
  | { readonly kind: 'request'; readonly id: string; readonly scroll: number }
  | { readonly kind: 'account'; readonly name: string; readonly scroll: number };

/** Everything a person changed on the screen; what the data says is not here. */
export interface ScreenState {
  readonly window: TimeWindow;
  readonly panel: Panel;
  readonly tab: Tab;
  /** The row under the cursor of each panel, by its key; null follows the first. */
  readonly cursor: Readonly<Record<Panel, string | null>>;
  readonly filter: string;
  readonly input: 'keys' | 'filter';
  readonly overlay: Overlay;
  readonly notice: { readonly text: string; readonly tone: Tone } | null;
}

/** The screen as it opens. */
export const FIRST_SCREEN: ScreenState = {
  window: '24h', panel: 'list', tab: 'requests', cursor: { accounts: null, running: null, list: null },
  filter: '', input: 'keys', overlay: { kind: 'browse' }, notice: null,
};

/** A key as the screen understands it. `text` is what was typed, one character or more when pasted. */
export type Key =
  | { readonly name: 'up' | 'down' | 'left' | 'right' | 'page-up' | 'page-down' | 'home' | 'end' }
  | { readonly name: 'enter' | 'escape' | 'backspace' | 'tab' | 'back-tab' | 'interrupt' | 'suspend' }
  | { readonly name: 'text'; readonly text: string };

/** What the keys need to know of what is on the screen. */
export interface OnScreen {
  /** Keys of each panel's rows, top to bottom, after filtering. */
  readonly rows: Readonly<Record<Panel, readonly string[]>>;
  readonly accounts: readonly Pick<AccountView, 'name' | 'state'>[];
  /** Lines a page moves by. */
  readonly page: number;
  /** Farthest the overlay can scroll. */
  readonly lastScroll: number;
}

/** What a key asks of the world beside another state. */
export type Effect = { readonly kind: 'none' | 'quit' | 'suspend' } | { readonly kind: 'act'; readonly action: AccountAction };

/** What a key leads to. */
export interface Pressed {
  readonly state: ScreenState;
  readonly effect: Effect;
}

const stay = (state: ScreenState): Pressed => ({ state, effect: { kind: 'none' } });

/** Judges one key. Pure: the same key on the same screen always does the same. */
export function press(before: ScreenState, key: Key, onScreen: OnScreen): Pressed {
  if (key.name === 'interrupt') return { state: before, effect: { kind: 'quit' } };
  if (key.name === 'suspend') return { state: before, effect: { kind: 'suspend' } };
  const state = { ...before, notice: null };
  if (state.input === 'filter') return stay(pressInFilter(state, key));
  if (key.name === 'text' && key.text.length > 1) return typeThrough(state, key.text, onScreen);
  if (key.name === 'text' && (key.text === 'q' || key.text === 'Q')) return { state, effect: { kind: 'quit' } };
  if (key.name === 'text' && key.text === '?') return stay(toggleHelp(state));
  if (state.overlay.kind !== 'browse') return pressInOverlay(state, key, onScreen);
  return pressInPanels(state, key, onScreen);
}

/** Several characters at once: a fast typist, or a paste. The first effect ends it. */
function typeThrough(state: ScreenState, text: string, onScreen: OnScreen): Pressed {
  let current = state;
  for (const character of text) {
    const pressed = press(current, { name: 'text', text: character }, onScreen);
    if (pressed.effect.kind !== 'none') return pressed;
    current = pressed.state;
  }
  return stay(current);
}

function toggleHelp(state: ScreenState): ScreenState {
  return { ...state, overlay: state.overlay.kind === 'help' ? { kind: 'browse' } : { kind: 'help', scroll: 0 } };
}

function pressInFilter(state: ScreenState, key: Key): ScreenState {
  switch (key.name) {
    case 'enter': return { ...state, input: 'keys' };
    case 'escape': return { ...state, input: 'keys', filter: '' };
    case 'backspace': return { ...state, filter: [...state.filter].slice(0, -1).join('') };
    case 'text': return { ...state, filter: printable(state.filter + key.text).slice(0, 60) };
    case 'up': case 'down': case 'left': case 'right': case 'page-up': case 'page-down': case 'home': case 'end':
    case 'tab': case 'back-tab': case 'interrupt': case 'suspend': return state;
  }
}

function pressInOverlay(state: ScreenState, key: Key, onScreen: OnScreen): Pressed {
  const { overlay } = state;
  const { page, lastScroll } = onScreen;
  if (overlay.kind === 'browse') return stay(state);
  const move = moveOf(key, page);
  if (move !== null) {
    const scroll = Math.min(lastScroll, Math.max(0, Math.min(overlay.scroll, lastScroll) + move));
    return stay({ ...state, overlay: { ...overlay, scroll } });
  }
  if (overlay.kind === 'account' && key.name === 'text') return actOnAccount(state, key.text, overlay.name, onScreen);
  const leaves = key.name === 'escape' || key.name === 'enter' || key.name === 'left' || key.name === 'backspace';
  return stay(leaves ? { ...state, overlay: { kind: 'browse' } } : state);
}

/** How far a key moves the cursor; null when it does not. */
function moveOf(key: Key, page: number): number | null {
  const name = key.name === 'text' ? (LETTER_MOVES[key.text] ?? null) : key.name;
  switch (name) {
    case 'up': return -1;
    case 'down': return 1;
    case 'page-up': return -page;
    case 'page-down': return page;
    case 'home': return Number.NEGATIVE_INFINITY;
    case 'end': return Number.POSITIVE_INFINITY;
    default: return null;
  }
}

const LETTER_MOVES: Readonly<Record<string, Key['name'] | undefined>> = {
  k: 'up',
  j: 'down',
  g: 'home',
  G: 'end',
  ' ': 'page-down',
  b: 'page-up',
};

function pressInPanels(state: ScreenState, key: Key, onScreen: OnScreen): Pressed {
  const move = moveOf(key, onScreen.page);
  if (move !== null) return stay(moveCursor(state, move, onScreen));
  switch (key.name) {
    case 'tab': return stay(nextPanel(state, 1, onScreen));
    case 'back-tab': return stay(nextPanel(state, -1, onScreen));
    case 'left': return stay(showTab(state, neighbour(TABS, state.tab, -1)));
    case 'right': return stay(showTab(state, neighbour(TABS, state.tab, 1)));
    case 'enter': return stay(open(state, onScreen));
    case 'escape': return stay(state.filter === '' ? state : { ...state, filter: '' });
    case 'text': return pressLetter(state, key.text, onScreen);
    default: return stay(state);
  }
}

function pressLetter(state: ScreenState, letter: string, onScreen: OnScreen): Pressed {
  const tab = TABS[Number(letter) - 1];
  if (tab) return stay(showTab(state, tab));
  switch (letter) {
    case '/': return stay({ ...state, input: 'filter' });
    case 't': case ']': return stay({ ...state, window: neighbour(TIME_WINDOWS, state.window, 1) });
    case 'T': case '[': return stay({ ...state, window: neighbour(TIME_WINDOWS, state.window, -1) });
    case 'a': return stay({ ...state, panel: 'accounts' });
    case 'e': return stay(showTab(state, state.tab === 'errors' ? 'requests' : 'errors'));
    case 'l': return stay(showTab(state, neighbour(TABS, state.tab, 1)));
    case 'h': return stay(showTab(state, neighbour(TABS, state.tab, -1)));
    case 'p': case 'w': return actOnChosenAccount(state, letter, onScreen);
    default: return stay(state);
  }
}

function neighbour<T>(all: readonly T[], current: T, step: 1 | -1): T {
  return all[(all.indexOf(current) + step + all.length) % all.length] ?? current;
}

function showTab(state: ScreenState, tab: Tab): ScreenState {
  const keepsCursor = tab === state.tab;
  return { ...state, tab, panel: 'list', cursor: keepsCursor ? state.cursor : { ...state.cursor, list: null } };
}

function nextPanel(state: ScreenState, step: 1 | -1, { rows }: OnScreen): ScreenState {
  const stops = PANELS.filter((panel) => panel === 'list' || panel === state.panel || rows[panel].length > 0);
  return { ...state, panel: neighbour(stops, state.panel, step) };
}

/** Where the cursor of a panel stands: on its row, or on the first when that row is gone. */
export function cursorIndex(rows: readonly string[], key: string | null): number {
  return key === null ? 0 : Math.max(0, rows.indexOf(key));
}

function moveCursor(state: ScreenState, move: number, { rows }: OnScreen): ScreenState {
  const keys = rows[state.panel];
  const target = Math.min(keys.length - 1, Math.max(0, cursorIndex(keys, state.cursor[state.panel]) + move));
  // On the first row the cursor follows what is newest instead of staying with one request.
  const key = target <= 0 ? null : (keys[target] ?? null);
  return { ...state, cursor: { ...state.cursor, [state.panel]: key } };
}

function open(state: ScreenState, { rows }: OnScreen): ScreenState {
  const keys = rows[state.panel];
  const key = keys[cursorIndex(keys, state.cursor[state.panel])];
  if (key === undefined) return state;
  if (state.panel === 'accounts') return { ...state, overlay: { kind: 'account', name: key, scroll: 0 } };
  const isRequest = state.panel === 'running' || state.tab === 'requests' || state.tab === 'errors';
  if (isRequest) return { ...state, overlay: { kind: 'request', id: key, scroll: 0 } };
  // A group opens as its requests: the tab changes and the filter narrows to it.
  return { ...state, tab: 'requests', filter: key, cursor: { ...state.cursor, list: null } };
}

function actOnChosenAccount(state: ScreenState, letter: string, onScreen: OnScreen): Pressed {
  const { rows } = onScreen;
  if (state.panel !== 'accounts') {
    return stay({ ...state, notice: { text: 'Choose an account first: press a, then the arrow keys', tone: 'warn' } });
  }
  const name = rows.accounts[cursorIndex(rows.accounts, state.cursor.accounts)];
  if (name === undefined) return stay({ ...state, notice: { text: 'There is no account here to act on', tone: 'warn' } });
  return actOnAccount(state, letter, name, onScreen);
}

function actOnAccount(state: ScreenState, letter: string, name: string, { accounts }: OnScreen): Pressed {
  const account = accounts.find((each) => each.name === name);
  if (!account || (letter !== 'p' && letter !== 'w')) return stay(state);
  const kind = letter === 'w' ? 'wake' : account.state === 'paused' ? 'resume' : 'pause';
  return { state, effect: { kind: 'act', action: { kind, account: name } } };
}
