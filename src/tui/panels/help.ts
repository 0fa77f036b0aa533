import type { Line } from '../spans.ts';
import { span } from '../spans.ts';

const KEYS: readonly (readonly [string, readonly (readonly [string, string])[]])[] = [
  ['Moving', [
    ['tab, shift-tab', 'next panel, the one before'],
    ['↑ ↓  j k', 'move the cursor; on the first row it follows the newest'],
    ['page up, down', 'by a page; g and G to the ends'],
    ['← →  1-7', 'requests, errors, sums by model, client, member, project, account'],
    ['enter', 'open what is under the cursor; a sum opens as its requests'],
    ['esc', 'back, or clear the filter'],
  ]],
  ['Looking', [
    ['t  T', 'longer, shorter time: 1h, 24h, 7d, 30d, all'],
    ['/', 'filter by id, client, model, account, error, …'],
    ['e', 'only errors, and back'],
  ]],
  ['Acting', [
    ['a', 'to the accounts'],
    ['p', 'pause the account under the cursor, or resume it'],
    ['w', 'wake it: end its cooldown and try it again'],
    ['ctrl-z', 'to the shell; fg comes back'],
    ['q  ctrl-c', 'leave; the daemon goes on'],
  ]],
  ['Figures', [
    ['SPENT', 'what calls cost in fact: nothing on a subscription'],
    ['LIST', 'what the same tokens cost at API list price'],
    ['SAVED', 'the difference'],
    ['TTFT', 'time from accepting a request to its first output'],
    ['–', 'not measured, or not told by the upstream: not zero'],
  ]],
];

/** The keys and the words of the screen. */
export function helpLines(): readonly Line[] {
  return KEYS.flatMap(([title, rows], index) => [
    ...(index === 0 ? [] : [[]]),
    [span(title, 'accent')],
    ...rows.map(([key, does]): Line => [span(`  ${key.padEnd(16)}`, 'strong'), span(does)]),
  ]);
}
