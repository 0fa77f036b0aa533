import type { CandidateRecord, CloseRecord, Cost, TokenCounts } from '../core/record.ts';
import type { EpochMs, NanoUsd } from '../core/units.ts';
import { HOUR_MS, MINUTE_MS } from '../core/units.ts';
import type { ScoreParts, Strategy } from '../routing/score.ts';
import { scoreOf, scorePartsFrom } from '../routing/score.ts';
import type { AttemptTimeline } from './attempt-timeline.ts';

/** A conversation is kept on its account this long, as the running gateway keeps it. */
const CONVERSATION_MS = HOUR_MS;
/** What was known of an account in one decision is taken for another this long. */
const PARTS_LAST_MS = 10 * MINUTE_MS;
/** As the running gateway: a quota with no more than this left takes no new conversation while another has more. */
const DRAINED_HEADROOM = 0.01;

/** What a journal is replayed with. */
export interface SimulationOptions {
  readonly strategy: Strategy;
  readonly weights: Readonly<Record<string, number>>;
  /** `routing.sticky`. */
  readonly isSticky: boolean;
  /** Names of the accounts there are, in the order they were added. */
  readonly accounts: readonly string[];
  /** What these tokens would have cost at this account; `record` says when, which model and tier. */
  readonly price: (record: CloseRecord, account: string, tokens: TokenCounts) => Cost;
  readonly timeline: AttemptTimeline;
}

/** One side of the comparison. Money in 1e-9 USD. */
export interface SimulatedSide {
  /** Attempts that failed before another account was asked, or nobody was left. */
  readonly failovers: number;
  /** Turns of a known conversation that went to the account of the turn before. */
  readonly kept: number;
  readonly moved: number;
  readonly cachedTokens: number;
  readonly cost: { readonly list: NanoUsd; readonly charged: NanoUsd };
}

/** What a replay gave, and what it could not know. */
export interface SimulationReport {
  readonly strategy: string;
  /** The strategies the replayed requests were really routed by, with their counts. */
  readonly routedBy: Readonly<Record<string, number>>;
  readonly replayed: number;
  /** Requests the journal says too little of: refused before a choice, or trimmed. */
  readonly skipped: number;
  /** Requests that another account would have served. */
  readonly changed: number;
  readonly actual: SimulatedSide;
  readonly simulated: SimulatedSide;
  readonly accounts: readonly { readonly account: string; readonly actual: number; readonly simulated: number }[];
  readonly unknown: {
    /** Choices among accounts of which one was judged by another decision, up to ten minutes old. */
    readonly borrowedScores: number;
    /** Changed requests whose account had no attempt within two minutes: taken for served. */
    readonly guessedOutcomes: number;
    /** Requests of no conversation the journal can name: each counts as one of its own. */
    readonly withoutConversation: number;
    /** Turns that would have stayed where they really moved: what the cache would have held is not known, and left as it was. */
    readonly guessedCaches: number;
  };
}

/** A replay of finished requests, fed oldest first. */
export interface Simulation {
  replay(record: CloseRecord): void;
  report(): SimulationReport;
}

interface Sums {
  failovers: number;
  kept: number;
  moved: number;
  cachedTokens: number;
  list: number;
  charged: number;
}

interface Choice {
  readonly account: string;
  readonly score: number;
}

/** A replay through one strategy; nothing is read, sent or written. */
export function createSimulation(options: SimulationOptions): Simulation {
  const sides = { actual: emptySums(), simulated: emptySums() };
  const counts = new Map<string, { actual: number; simulated: number }>();
  const routedBy = new Map<string, number>();
  const conversations = { actual: createConversations(), simulated: createConversations() };
  const lastParts = new Map<string, { readonly candidate: CandidateRecord; readonly at: EpochMs }>();
  const lastChosen = new Map<string, number>();
  const unknown = { borrowedScores: 0, guessedOutcomes: 0, withoutConversation: 0, guessedCaches: 0 };
  const totals = { replayed: 0, skipped: 0, changed: 0 };

  const tally = (account: string, side: 'actual' | 'simulated'): void => {
    const known = counts.get(account) ?? { actual: 0, simulated: 0 };
    known[side] += 1;
    counts.set(account, known);
  };
  const candidatesOf = (record: CloseRecord): readonly CandidateRecord[] => {
    const scored = (record.route?.why ?? []).filter(({ out, parts }) => out === undefined && scorePartsFrom(parts) !== null);
    for (const candidate of scored) lastParts.set(partsKey(record, candidate.account), { candidate, at: record.t });
    // An account that was tried first and failed stands in the last decision without a score: its own is borrowed.
    const names = new Set(scored.map(({ account }) => account));
    const tried = [...new Set(record.attempts.map(({ account }) => account))].filter((account) => !names.has(account)).flatMap((account) => {
      const known = lastParts.get(partsKey(record, account));
      return known === undefined || record.t - known.at > PARTS_LAST_MS ? [] : [known.candidate];
    });
    if (tried.length > 0) unknown.borrowedScores += 1;
    return [...scored, ...tried];
  };
  const order = (candidates: readonly CandidateRecord[], record: CloseRecord): readonly Choice[] => {
    const rankOf = rankBy(options, lastChosen);
    const top = pickable(candidates);
    const rest = candidates.filter((candidate) => !top.includes(candidate));
    const ranked = (group: readonly CandidateRecord[]): readonly Choice[] =>
      group.map((candidate) => ({ account: candidate.account, score: rankOf(candidate) }))
        // What is level stays with who really served.
        .sort((one, other) => other.score - one.score || Number(other.account === record.account) - Number(one.account === record.account));
    return [...ranked(top), ...ranked(rest)];
  };
  const outcomeAt = (account: string, record: CloseRecord): 'served' | 'failed' => {
    const own = record.attempts.filter((attempt) => attempt.account === account);
    if (own.length > 0) return own.some(({ error }) => error === null) || account === record.account ? 'served' : 'failed';
    const standing = options.timeline.standingAt(account, record.t - record.ms.total);
    if (standing === 'unknown') unknown.guessedOutcomes += 1;
    return standing === 'failed' ? 'failed' : 'served';
  };
  /** Who serves in the end, and how many were asked in vain. */
  const simulate = (record: CloseRecord, candidates: readonly CandidateRecord[], owner: string | null): { readonly account: string; readonly failovers: number } => {
    const inOrder = order(candidates, record).map(({ account }) => account);
    const first = owner !== null && inOrder.includes(owner) ? [owner, ...inOrder.filter((account) => account !== owner)] : inOrder;
    let failovers = 0;
    for (const account of first) {
      lastChosen.set(account, totals.replayed);
      if (outcomeAt(account, record) === 'served') return { account, failovers };
      failovers += 1;
    }
    return { account: record.account ?? first[0] ?? '', failovers };
  };

  return {
    replay(record) {
      const candidates = candidatesOf(record);
      if (record.k !== 'close' || record.account === null || record.route === null || candidates.length === 0) {
        totals.skipped += 1;
        return;
      }
      totals.replayed += 1;
      routedBy.set(record.route.strategy, (routedBy.get(record.route.strategy) ?? 0) + 1);
      const conversation = record.route.conversation === undefined ? null : `${record.client} ${record.route.conversation}`;
      if (conversation === null) unknown.withoutConversation += 1;
      const before = {
        actual: conversations.actual.ownerOf(conversation, record.t),
        simulated: options.isSticky ? conversations.simulated.ownerOf(conversation, record.t) : null,
      };
      const { account, failovers } = simulate(record, candidates, before.simulated);
      const seen = { actual: conversations.actual.turn(conversation, record.account, record.t), simulated: conversations.simulated.turn(conversation, account, record.t) };
      if (account !== record.account) totals.changed += 1;
      tally(record.account, 'actual');
      tally(account, 'simulated');
      addTurn(sides.actual, { turn: seen.actual, failovers: actualFailovers(record), tokens: record.tokens, cost: record.cost });
      const tokens = cachedAfter(record.tokens, seen);
      if (seen.simulated === 'kept' && seen.actual === 'moved') unknown.guessedCaches += 1;
      addTurn(sides.simulated, { turn: seen.simulated, failovers, tokens, cost: costAt(record, account, tokens, options) });
    },
    report: () => ({
      strategy: options.strategy,
      routedBy: Object.fromEntries(routedBy),
      ...totals,
      actual: sideOf(sides.actual),
      simulated: sideOf(sides.simulated),
      accounts: [...counts].map(([account, count]) => ({ account, ...count })).sort((one, other) => other.actual - one.actual || (one.account < other.account ? -1 : 1)),
      unknown: { ...unknown },
    }),
  };
}

const partsKey = ({ model }: CloseRecord, account: string): string => `${model.sent ?? ''} ${account}`;

/** The candidates a new conversation may go to: the best priority of those whose quota is not as good as spent. */
function pickable(candidates: readonly CandidateRecord[]): readonly CandidateRecord[] {
  const fresh = candidates.filter(({ parts }) => (parts?.['headroom'] ?? 1) > DRAINED_HEADROOM);
  const usable = fresh.length > 0 ? fresh : candidates;
  const best = Math.min(...usable.map(({ priority }) => priority ?? 0));
  return usable.filter(({ priority }) => (priority ?? 0) === best);
}

function rankBy({ strategy, weights, accounts }: SimulationOptions, lastChosen: ReadonlyMap<string, number>): (candidate: CandidateRecord) => number {
  if (strategy === 'priority') return ({ account }) => -(accounts.includes(account) ? accounts.indexOf(account) : accounts.length);
  if (strategy === 'round-robin') return ({ account }) => -(lastChosen.get(account) ?? 0);
  return ({ parts }) => {
    const read: ScoreParts | null = scorePartsFrom(parts);
    return read === null ? 0 : Math.round(scoreOf(read, strategy, weights) * 1_000);
  };
}

type TurnKind = 'kept' | 'moved' | 'first';

/** Which account each conversation is on, as far as its turns went. */
function createConversations(): { ownerOf(name: string | null, at: EpochMs): string | null; turn(name: string | null, account: string, at: EpochMs): TurnKind } {
  const known = new Map<string, { account: string; at: EpochMs }>();
  const ownerOf = (name: string | null, at: EpochMs): string | null => {
    const found = name === null ? undefined : known.get(name);
    return found !== undefined && at - found.at <= CONVERSATION_MS ? found.account : null;
  };
  return {
    ownerOf,
    turn(name, account, at) {
      const owner = ownerOf(name, at);
      if (name !== null) known.set(name, { account, at });
      if (owner === null) return 'first';
      return owner === account ? 'kept' : 'moved';
    },
  };
}

function actualFailovers({ attempts, attemptsMore = 0 }: CloseRecord): number {
  return attempts.filter(({ error }, index) => error !== null && index < attempts.length - 1).length + attemptsMore;
}

/** What would have been read from the cache: nothing after a move of the replay's own, else what was. */
function cachedAfter(tokens: TokenCounts | null, { actual, simulated }: { readonly actual: TurnKind; readonly simulated: TurnKind }): TokenCounts | null {
  return tokens === null || simulated !== 'moved' || actual === 'moved' ? tokens : { ...tokens, cached: 0 };
}

/** The journal's own sum where nothing changed; else priced anew. */
function costAt(record: CloseRecord, account: string, tokens: TokenCounts | null, { price }: SimulationOptions): Cost {
  if (tokens === null || (account === record.account && tokens === record.tokens)) return record.cost;
  return price(record, account, tokens);
}

function emptySums(): Sums {
  return { failovers: 0, kept: 0, moved: 0, cachedTokens: 0, list: 0, charged: 0 };
}

interface Turn {
  readonly turn: TurnKind;
  readonly failovers: number;
  readonly tokens: TokenCounts | null;
  readonly cost: Cost;
}

function addTurn(sums: Sums, { turn, failovers, tokens, cost }: Turn): void {
  sums.failovers += failovers;
  if (turn === 'kept') sums.kept += 1;
  if (turn === 'moved') sums.moved += 1;
  sums.cachedTokens += tokens?.cached ?? 0;
  sums.list += cost.list;
  sums.charged += cost.charged;
}

function sideOf({ failovers, kept, moved, cachedTokens, list, charged }: Sums): SimulatedSide {
  return { failovers, kept, moved, cachedTokens, cost: { list, charged } };
}
