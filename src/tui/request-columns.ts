import { ABSENT, formatCountShort, formatDateTime, formatDuration, formatMoneyShort, formatTime } from '../core/amounts.ts';
import { printable } from '../core/printable.ts';
import { modelOf, shortId, statusSpan } from './request-words.ts';
import type { FinishedRequest } from './source.ts';
import { span } from './spans.ts';
import type { Column } from './table.ts';

type RequestColumn = Column<FinishedRequest>;
const absent = span(ABSENT, 'dim');

const status: RequestColumn = { title: 'CODE', cell: statusSpan };
const client: RequestColumn = { title: 'CLIENT', basis: 8, min: 8, dropAt: 4, cell: (record) => span(printable(record.client)) };
const model: RequestColumn = { title: 'MODEL', basis: 14, min: 14, cell: (record) => span(modelOf(record) || ABSENT) };
const account: RequestColumn = {
  title: 'ACCOUNT', basis: 8, min: 8, dropAt: 3, cell: (record) => (record.account === null ? absent : span(printable(record.account))),
};
const attempts: RequestColumn = {
  title: 'TRIES', align: 'right', dropAt: 8,
  cell: ({ attempts: { length } }) => span(String(length), length > 1 ? 'warn' : 'dim'),
};

function tokens(title: string, dropAt: number, read: (counts: NonNullable<FinishedRequest['tokens']>) => number): RequestColumn {
  return {
    title, align: 'right', basis: 5, dropAt,
    cell: (record) => (record.tokens ? span(`${record.tokens.estimated ? '~' : ''}${formatCountShort(read(record.tokens))}`) : absent),
  };
}

const listPrice: RequestColumn = {
  title: 'LIST', align: 'right', basis: 7, dropAt: 5,
  cell: ({ cost }) => (cost.price === null && cost.list === 0 ? absent : span(formatMoneyShort(cost.list))),
};
const paid: RequestColumn = {
  title: 'PAID', align: 'right', basis: 5, dropAt: 9,
  cell: ({ cost }) => span(formatMoneyShort(cost.charged), cost.charged === 0 ? 'dim' : 'plain'),
};
const ttft: RequestColumn = {
  title: 'TTFT', align: 'right', basis: 5, dropAt: 6, cell: ({ ms }) => (ms.ttft === null ? absent : span(formatDuration(ms.ttft))),
};
const total: RequestColumn = { title: 'TOTAL', align: 'right', basis: 5, dropAt: 2, cell: ({ ms }) => span(formatDuration(ms.total)) };
const measures = [
  tokens('IN', 7, ({ input }) => input), tokens('CACHED', 10, ({ cached }) => cached), tokens('OUT', 5, ({ output }) => output),
  listPrice, paid, ttft, total,
];

const error: RequestColumn = {
  title: 'ERROR', basis: 12, min: 24,
  cell: (record) => [
    span(printable(record.error?.code ?? record.outcome), 'bad'),
    ...(record.error?.message ? [span(`  ${printable(record.error.message)}`, 'dim')] : []),
  ],
};

const time = (timeZone: string): RequestColumn => ({ title: 'TIME', cell: ({ t }) => span(formatTime(t, timeZone), 'dim') });
const moment = (timeZone: string): RequestColumn => ({ title: 'TIME', cell: ({ t }) => span(formatDateTime(t, timeZone), 'dim') });

/** The columns of the screen's list of finished requests. */
export function finishedColumns(timeZone: string): readonly RequestColumn[] {
  return [time(timeZone), status, client, model, account, attempts, ...measures];
}

/** The columns of the screen's list of errors. */
export function errorColumns(timeZone: string): readonly RequestColumn[] {
  return [time(timeZone), status, client, model, account, { ...attempts, dropAt: 7 }, error];
}

/** The columns of `relay logs`: those of the screen with the day and an id that `relay show` takes. */
export function logColumns(timeZone: string, room: 'terminal' | 'pipe'): readonly RequestColumn[] {
  const id: RequestColumn = {
    title: 'ID',
    basis: 8,
    cell: (record) => span(room === 'pipe' ? printable(record.id) : shortId(record.id), 'accent'),
  };
  const date: RequestColumn = room === 'pipe' ? moment(timeZone) : time(timeZone);
  const code: RequestColumn = { title: 'ERROR', min: 10, dropAt: 7, cell: (record) => span(printable(record.error?.code ?? ''), 'bad') };
  return [date, id, status, client, model, account, attempts, ...measures, code];
}
