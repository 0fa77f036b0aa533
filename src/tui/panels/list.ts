import { formatCountShort } from '../../core/amounts.ts';
import type { UsageReport } from '../../core/views.ts';
import { percentBar } from '../bars.ts';
import { errorColumns, finishedColumns } from '../request-columns.ts';
import type { Tab } from '../screen-state.ts';
import { TABS } from '../screen-state.ts';
import type { FinishedRequest } from '../source.ts';
import type { Line } from '../spans.ts';
import { span, widthOf } from '../spans.ts';
import type { Column } from '../table.ts';
import { planTable } from '../table.ts';
import type { UsageRow } from '../usage-columns.ts';
import { groupRow, usageColumns } from '../usage-columns.ts';
import type { PanelPlace } from './accounts.ts';
import { emptyList, listBody, listWidth, rule } from './frame.ts';

/** Whether a tab shows single requests. */
export function showsRequests(tab: Tab): tab is 'requests' | 'errors' {
  return tab === 'requests' || tab === 'errors';
}

/** The names of the tabs, the present one in brackets; numbered with the key that shows each where there is room. */
function tabBar(tab: Tab, errors: number, { width, focus }: PanelPlace): Line {
  const bar = (style: 'numbered' | 'plain' | 'tight'): Line =>
    TABS.flatMap((each, index) => {
      const name = `${style === 'numbered' ? `${index + 1} ` : ''}${each}`;
      const count = each === 'errors' && errors > 0 ? ` ${formatCountShort(errors)}` : '';
      const gap = style === 'tight' ? '' : ' ';
      if (each === tab) return [span(`[${name}${count}]${gap === '' ? ' ' : ''}`, focus === 'focused' ? 'accent' : 'strong')];
      return [span(`${gap}${name}`, 'dim'), span(`${count} `, count === '' ? 'dim' : 'bad')];
    });
  const fitting = (['numbered', 'plain'] as const).map(bar).find((line) => widthOf(line) + 6 <= width);
  return fitting ?? bar('tight');
}

/** What an empty list says. */
export interface EmptyWords {
  readonly filter: string;
  readonly url: string | null;
}

function emptyWords(tab: Tab, { filter, url }: EmptyWords): readonly Line[] {
  if (filter !== '') return emptyList(`Nothing matches "${filter}".`, 'esc clears the filter');
  if (tab === 'errors') return emptyList('No errors. Nothing to see here, which is good.', '');
  if (!showsRequests(tab)) return emptyList('No requests in this time.', 't looks further back');
  return emptyList('No request yet.', url === null ? 'relay start, then relay connect codex' : 'relay connect codex');
}

/** What the list is given: its tab, how many errors there are, and what to say when it is empty. */
export interface ListPlace extends PanelPlace {
  readonly tab: Tab;
  readonly errors: number;
  readonly empty: EmptyWords;
}

/** Finished requests, newest first, or only those that went wrong, with why. */
export function drawRequests(requests: readonly FinishedRequest[], place: ListPlace): readonly Line[] {
  const columns = place.tab === 'errors' ? errorColumns(place.timeZone) : finishedColumns(place.timeZone);
  return drawRows(columns, requests, place);
}

/** Sums by one dimension, the largest first, each with its share of the requests. */
export function drawGroups(report: UsageReport | null, groups: UsageReport['groups'], place: ListPlace): readonly Line[] {
  if (!report) return [rule(tabBar(place.tab, place.errors, place), [], place.width), [span('  adding up…', 'dim')]];
  const most = Math.max(1, report.totals.requests);
  const [label, requests, ...measures] = usageColumns(report.by);
  const share: Column<UsageRow> = {
    title: 'SHARE',
    dropAt: 10,
    cell: ({ totals }) =>
      percentBar((totals.requests / most) * 100, 10).map(({ text }, index) => span(text, index === 0 ? 'accent' : 'dim')),
  };
  const columns = [label, requests, share, ...measures].filter((column) => column !== undefined);
  return drawRows(columns, groups.map((group) => groupRow(group, report.by)), place);
}

/** Rows whose widths decide the columns: enough to be steady while scrolling, few enough to be quick. */
const SAMPLED = 120;

function drawRows<Row>(columns: readonly Column<Row>[], rows: readonly Row[], place: ListPlace): readonly Line[] {
  const { width, height, cursor, focus, tab, errors } = place;
  const bar = tabBar(tab, errors, place);
  if (rows.length === 0) return [rule(bar, [], width), ...emptyWords(tab, place.empty)].slice(0, height);
  const plan = planTable(columns, rows.slice(0, SAMPLED), listWidth(width));
  const body = listBody(rows, plan.draw, cursor, height - 2, focus);
  const lines: readonly Line[] = [rule(bar, body.remark, width), [span('  '), ...plan.heading], ...body.lines];
  return lines.slice(0, height);
}
