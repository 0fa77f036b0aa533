import type { LiveRequest } from '../core/ports.ts';
import { printable } from '../core/printable.ts';
import type { EpochMs } from '../core/units.ts';
import type { AccountView, UsageGroup, UsageReport } from '../core/views.ts';
import { explainRequest } from './explain-request.ts';
import type { PanelPlace } from './panels/accounts.ts';
import { drawAccounts } from './panels/accounts.ts';
import type { DrawnPage } from './panels/detail.ts';
import { drawPage, explainAccount, explainRunning } from './panels/detail.ts';
import { drawFooter } from './panels/footer.ts';
import { drawBrand, drawCourse, drawFigures } from './panels/header.ts';
import { helpLines } from './panels/help.ts';
import { drawGroups, drawRequests, showsRequests } from './panels/list.ts';
import { drawRunning } from './panels/running.ts';
import { isError } from './request-words.ts';
import type { OnScreen, Overlay, Panel, ScreenState } from './screen-state.ts';
import { cursorIndex } from './screen-state.ts';
import type { FinishedRequest, TuiSnapshot } from './source.ts';
import type { Line } from './spans.ts';
import { fitLine, span } from './spans.ts';
import { courseOf } from './time-window.ts';

/** The smallest screen that can be read. */
export const SMALLEST = { columns: 60, rows: 8 } as const;

/** Everything the screen is drawn from. */
export interface ScreenInput {
  readonly snapshot: TuiSnapshot;
  /** The window's sums and course; null while they are being added up. */
  readonly totals: UsageReport | null;
  /** The window's sums by the present tab's dimension; null while they are being added up, or where none is shown. */
  readonly groups: UsageReport | null;
  /** What the ledger said of a request that is open and no longer in the snapshot; null while it is asked. */
  readonly fetched: FetchedRequest | null;
  readonly state: ScreenState;
  readonly size: { readonly columns: number; readonly rows: number };
  readonly now: EpochMs;
  readonly timeZone: string;
}

/** An answer of the ledger; its record is null when there is none of that id. */
export interface FetchedRequest {
  readonly id: string;
  readonly record: FinishedRequest | null;
}

/** The screen: exactly as many lines as there are rows, and what the keys need to know of it. */
export interface ScreenView {
  readonly lines: readonly Line[];
  readonly onScreen: OnScreen;
}

/** Draws the whole screen. Pure: the same input gives the same lines. */
export function drawScreen(input: ScreenInput): ScreenView {
  const { size: { columns, rows }, state } = input;
  const shown = rowsShown(input);
  const isTooSmall = columns < SMALLEST.columns || rows < SMALLEST.rows;
  if (isTooSmall) return { lines: tooSmall(columns, rows), onScreen: onScreenOf(shown, 1, 0, input) };
  const top = drawTop(input);
  const height = rows - top.length - 1;
  const body = state.overlay.kind === 'browse' ? drawPanels(input, shown, height) : drawOverlay(input, state.overlay, height);
  const padding = Array.from({ length: Math.max(0, height - body.lines.length) }, (): Line => []);
  const lines = [...top, ...body.lines.slice(0, height), ...padding, drawFooter(state, columns)];
  return {
    lines: lines.map((line) => fitLine(line, columns)),
    onScreen: onScreenOf(shown, Math.max(1, height - 3), body.lastScroll, input),
  };
}

function tooSmall(columns: number, rows: number): readonly Line[] {
  const said = columns < SMALLEST.columns ? `relay needs ${SMALLEST.columns} columns` : `relay needs ${SMALLEST.rows} rows`;
  const lines: Line[] = [[span(said, 'warn')], [span('q quits', 'dim')]];
  return lines.slice(0, Math.max(1, rows)).map((line) => fitLine(line, columns));
}

/** The rows of each panel after filtering. */
interface RowsShown {
  readonly accounts: readonly AccountView[];
  readonly running: readonly LiveRequest[];
  readonly requests: readonly FinishedRequest[];
  readonly groups: readonly UsageGroup[];
  readonly errors: number;
}

function rowsShown({ snapshot, groups, state }: ScreenInput): RowsShown {
  const wanted = state.filter.trim().toLowerCase();
  const matches = (...texts: readonly (string | null | undefined)[]): boolean =>
    wanted === '' || texts.some((text) => typeof text === 'string' && printable(text).toLowerCase().includes(wanted));
  const accounts = snapshot.accounts.filter(({ name, provider, plan, state: condition }) => matches(name, provider, plan, condition));
  const running = snapshot.running.filter(({ id, client, model, account, provider, phase }) =>
    matches(id, client, model, account, provider, phase),
  );
  const errors = snapshot.finished.filter(isError);
  const requests = (state.tab === 'errors' ? errors : snapshot.finished).filter((record) => matches(
    record.id, record.client, record.member, record.project, record.env, record.model.ran, record.model.sent, record.model.asked,
    record.account, record.provider, record.outcome, record.error?.code, record.error?.message, String(record.status), record.endpoint,
  ));
  const sums = showsRequests(state.tab) || !groups ? [] : groups.groups.filter(({ key }) => matches(...Object.values(key)));
  return {
    accounts, running, requests, errors: errors.length,
    groups: [...sums].sort((left, right) => right.cost.list - left.cost.list || right.requests - left.requests),
  };
}

function onScreenOf(
  { accounts, running, requests, groups }: RowsShown,
  page: number,
  lastScroll: number,
  { snapshot, state }: ScreenInput,
): OnScreen {
  const list = showsRequests(state.tab) ? requests.map(({ id }) => id) : groups.map((group) => groupName(group));
  return {
    rows: { accounts: accounts.map(({ name }) => name), running: running.map(({ id }) => id), list },
    accounts: snapshot.accounts, page, lastScroll,
  };
}

function groupName({ key }: UsageGroup): string {
  return Object.values(key).find((value) => typeof value === 'string') ?? '';
}

function drawTop({ snapshot, totals, state, size: { columns, rows }, now }: ScreenInput): readonly Line[] {
  const banner: Line = [span(' Relay is not running: this is what the ledger holds.', 'warn'), span('  relay start', 'accent')];
  const course = totals ? courseOf(state.window, totals, snapshot.finished, now) : null;
  return [
    drawBrand(snapshot.daemon, state.window, now, columns),
    ...(snapshot.daemon.state === 'stopped' ? [banner] : []),
    ...(rows >= 14 ? drawFigures(totals?.totals ?? null, columns) : []),
    ...(rows >= 18 ? [drawCourse(course, columns)] : []),
    ...(rows >= 34 ? [[]] : []),
  ];
}

function drawPanels(input: ScreenInput, shown: RowsShown, height: number): DrawnPage {
  const { state, size: { columns }, now, timeZone, snapshot } = input;
  const heights = shareHeight(height, state.panel, shown.accounts.length, shown.running.length);
  const list = showsRequests(state.tab) ? shown.requests.map(({ id }) => id) : shown.groups.map(groupName);
  const keys: Readonly<Record<Panel, readonly string[]>> = {
    accounts: shown.accounts.map(({ name }) => name), running: shown.running.map(({ id }) => id), list,
  };
  const place = (panel: Panel): PanelPlace => ({
    width: columns, height: heights[panel], cursor: cursorIndex(keys[panel], state.cursor[panel]),
    focus: state.panel === panel ? 'focused' : 'resting', now, timeZone,
  });
  const url = snapshot.daemon.state === 'stopped' ? null : snapshot.daemon.url;
  const listPlace = { ...place('list'), tab: state.tab, errors: shown.errors, empty: { filter: state.filter, url } };
  return {
    lastScroll: 0,
    lines: [
      ...drawAccounts(shown.accounts, state.filter, place('accounts')),
      ...drawRunning(shown.running, place('running')),
      ...(showsRequests(state.tab) ? drawRequests(shown.requests, listPlace) : drawGroups(input.groups, shown.groups, listPlace)),
    ],
  };
}

/** The fewest lines a list is worth: its rule, its heading and three rows. */
const LEAST_LIST = 5;

/**
 * Shares lines among the panels: accounts and running get what they need up to a part of the screen, a larger one for
 * the panel with the cursor; the list gets the rest. On a low screen only the panel with the cursor is there.
 */
function shareHeight(height: number, focused: Panel, accounts: number, running: number): Readonly<Record<Panel, number>> {
  if (height < 12) return { accounts: 0, running: 0, list: 0, [focused]: height };
  const cap = (panel: Panel): number => Math.max(3, Math.floor(height * (panel === focused ? 0.5 : 0.3)));
  const accountLines = Math.min(2 + accounts, cap('accounts'));
  const runningLines = running === 0 ? 1 : Math.min(2 + running, cap('running'), height - accountLines - LEAST_LIST);
  return { accounts: accountLines, running: runningLines, list: height - accountLines - runningLines };
}

function drawOverlay(input: ScreenInput, overlay: Exclude<Overlay, { kind: 'browse' }>, height: number): DrawnPage {
  const { size: { columns }, now, timeZone, snapshot } = input;
  const page = { timeZone, width: columns - 2 };
  switch (overlay.kind) {
    case 'help': return drawPage('Help', helpLines(), overlay.scroll, columns, height);
    case 'account': {
      const account = snapshot.accounts.find(({ name }) => name === overlay.name);
      const lines = account ? explainAccount(account, now, page) : [[span('This account is gone.', 'dim')]];
      return drawPage('Account', lines, overlay.scroll, columns, height);
    }
    case 'request': return drawPage('Request', requestLines(input, overlay.id), overlay.scroll, columns, height);
  }
}

function requestLines({ snapshot, fetched, now, timeZone, size }: ScreenInput, id: string): readonly Line[] {
  const running = snapshot.running.find((request) => request.id === id);
  if (running) return explainRunning(running, now);
  const answer = fetched?.id === id ? fetched : null;
  const record = snapshot.finished.find((each) => each.id === id) ?? answer?.record;
  if (record) return explainRequest(record, { timeZone, width: size.columns - 2 });
  return [[span(answer ? 'The ledger has no request of this id.' : 'Looking it up in the ledger…', 'dim')]];
}
