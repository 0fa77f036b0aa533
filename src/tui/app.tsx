import { Box, useApp, useInput, useWindowSize } from 'ink';
import { useCallback, useEffect, useMemo, useRef, useState } from 'react';

import type { Clock } from '../core/ports.ts';
import { printable } from '../core/printable.ts';
import { readKey } from './keys.ts';
import { showsRequests } from './panels/list.ts';
import { Row } from './row.tsx';
import type { Effect, OnScreen, ScreenState } from './screen-state.ts';
import { FIRST_SCREEN, press } from './screen-state.ts';
import type { AccountAction, FinishedRequest, TuiSource } from './source.ts';
import { span } from './spans.ts';
import { courseDimension } from './time-window.ts';
import { useLive } from './use-live.ts';
import { useUsage } from './use-usage.ts';
import type { FetchedRequest } from './view.ts';
import { drawScreen } from './view.ts';

/** What the screen is given. It does not know whether a daemon or the files stand behind its source. */
export interface AppProps {
  readonly source: TuiSource;
  readonly clock: Clock;
  readonly timeZone: string;
  readonly colour: boolean;
  /** Puts the process to sleep while the terminal is the shell's; resolves when it is back in front. */
  readonly sleep: () => Promise<void>;
}

/** The live screen of `relay usage`: keys in, the pure screen out. */
export function App({ source, clock, timeZone, colour, sleep }: AppProps) {
  const size = useWindowSize();
  const live = useLive(source, clock);
  const [state, latest, change] = useScreenState();
  const tell = useCallback((error: unknown) => {
    change((now) => ({ ...now, notice: { text: sentence(error), tone: 'bad' } }));
  }, [change]);
  const newestSeq = live.snapshot?.finished[0]?.seq ?? 0;
  const totals = useUsage(source, clock, { window: state.window, by: courseDimension(state.window), newestSeq }, tell);
  const groups = useUsage(source, clock, { window: state.window, by: showsRequests(state.tab) ? null : state.tab, newestSeq }, tell);
  const fetched = useFetched(source, live.snapshot?.finished, state, tell);
  const view = useMemo(
    () => (live.snapshot ? drawScreen({ snapshot: live.snapshot, totals, groups, fetched, state, size, now: live.now, timeZone }) : null),
    [live, totals, groups, fetched, state, size, timeZone],
  );
  const perform = useEffects(source, sleep, change, tell);

  useInput((input, inkKey) => {
    const key = readKey(input, inkKey);
    if (!key) return;
    const pressed = press(latest.current, key, view?.onScreen ?? NOTHING_ON_SCREEN);
    change(() => pressed.state);
    perform(pressed.effect);
  });

  const lines = view?.lines ?? [[span(' relay', 'strong'), span('  …', 'dim')]];
  return <Box flexDirection="column">{lines.map((line, index) => <Row key={index} line={line} colour={colour} />)}</Box>;
}

const NOTHING_ON_SCREEN: OnScreen = { rows: { accounts: [], running: [], list: [] }, accounts: [], page: 1, lastScroll: 0 };

type Change = (next: (now: ScreenState) => ScreenState) => void;

/** The state, and a reference to its newest value: keys that come faster than frames must see each other's doing. */
function useScreenState(): readonly [ScreenState, { readonly current: ScreenState }, Change] {
  const [state, setState] = useState(FIRST_SCREEN);
  const latest = useRef(FIRST_SCREEN);
  const change = useCallback<Change>((next) => {
    latest.current = next(latest.current);
    setState(latest.current);
  }, []);
  return [state, latest, change];
}

/** Does what a key asked of the world, and says how it went. */
function useEffects(
  source: TuiSource,
  sleep: () => Promise<void>,
  change: Change,
  tell: (error: unknown) => void,
): (effect: Effect) => void {
  const { exit, suspendTerminal } = useApp();
  return (effect) => {
    switch (effect.kind) {
      case 'none': return;
      case 'quit': return exit();
      case 'suspend': return void suspendTerminal(sleep).catch(tell);
      case 'act': {
        const { action } = effect;
        source.act(action).then(() => change((now) => ({ ...now, notice: { text: doneWords(action), tone: 'good' } })), tell);
      }
    }
  };
}

function doneWords({ kind, account }: AccountAction): string {
  const name = printable(account);
  switch (kind) {
    case 'pause': return `${name} is paused: no new calls go to it. p resumes it.`;
    case 'resume': return `${name} is back in service.`;
    case 'wake': return `${name} is awake: its cooldowns are over.`;
  }
}

function sentence(error: unknown): string {
  return printable(error instanceof Error ? error.message : String(error));
}

/** What the ledger has of the request that is open and not in the snapshot; null until it has answered. */
function useFetched(
  source: TuiSource, finished: readonly FinishedRequest[] | undefined, { overlay }: ScreenState, tell: (error: unknown) => void,
): FetchedRequest | null {
  const [fetched, setFetched] = useState<FetchedRequest | null>(null);
  const id = overlay.kind === 'request' ? overlay.id : null;
  const isAtHand = id === null || finished === undefined || finished.some((record) => record.id === id);
  useEffect(() => {
    if (isAtHand || id === null) return;
    let isWanted = true;
    source.request(id).then((record) => {
      if (isWanted) setFetched({ id, record });
    }, tell);
    return () => {
      isWanted = false;
    };
  }, [source, id, isAtHand, tell]);
  return fetched;
}
