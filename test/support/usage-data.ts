import type { RequestQuery, UsageData } from '../../src/cli/usage-data.ts';
import { matchesQuery } from '../../src/cli/usage-data.ts';
import type { UsageQuery, UsageReport } from '../../src/core/views.ts';
import type { FinishedRequest } from '../../src/tui/source.ts';
import { usageReport } from './tui-fixture.ts';

/** A ledger in memory that remembers what was asked of it. */
export interface MemoryUsageData extends UsageData {
  /** A request finishes: followers hear of it, and later queries find it. */
  finish(record: FinishedRequest): void;
  readonly reports: readonly UsageQuery[];
  readonly asked: readonly RequestQuery[];
  /** How many records queries have handed out. */
  readonly read: number;
  readonly followers: number;
}

/** Makes one that holds `records`, in any order. */
export function memoryUsageData(
  records: readonly FinishedRequest[],
  report: (query: UsageQuery) => UsageReport = usageReport,
): MemoryUsageData {
  let all = [...records].sort((left, right) => left.seq - right.seq);
  const reports: UsageQuery[] = [];
  const asked: RequestQuery[] = [];
  const followers = new Set<(record: FinishedRequest) => void>();
  let read = 0;
  return {
    reports, asked,
    get read() {
      return read;
    },
    get followers() {
      return followers.size;
    },
    finish(record) {
      all = [...all, record];
      for (const follower of followers) follower(record);
    },
    async report(query) {
      reports.push(query);
      return report(query);
    },
    async *requests(query) {
      asked.push(query);
      const ordered = query.order === 'oldest-first' ? all : all.toReversed();
      const found = ordered.filter((record) => matchesQuery(record, query));
      for (const record of query.limit === null ? found : found.slice(0, query.limit)) {
        read += 1;
        yield record;
      }
    },
    async request(id) {
      return all.find((record) => record.id === id) ?? null;
    },
    follow(listener, signal) {
      followers.add(listener);
      return new Promise((ended) => {
        const end = (): void => {
          followers.delete(listener);
          ended();
        };
        if (signal.aborted) return end();
        signal.addEventListener('abort', end, { once: true });
      });
    },
  };
}
