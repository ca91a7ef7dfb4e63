import { apiPrefix } from '../api/client';

/** What the page's address says of the log that is wanted; days are those of the reader's own clock. */
export interface EventFilter {
  kind: string;
  userId: string;
  since: string;
  until: string;
}

export function filterOf(search: URLSearchParams): EventFilter {
  const text = (key: string) => search.get(key) ?? '';
  return { kind: text('kind'), userId: text('userId'), since: text('since'), until: text('until') };
}

/** The same as the API asks for it. The last day is in it whole. */
export function eventQuery(filter: EventFilter): { action?: string; userId?: string; since?: string; until?: string } {
  const since = startOfDay(filter.since, 0);
  const until = startOfDay(filter.until, 1);
  return {
    ...(filter.kind && { action: `${filter.kind}.` }),
    ...(filter.userId && { userId: filter.userId }),
    ...(since && { since }),
    ...(until && { until }),
  };
}

/** The address of the log as a file. */
export function exportLink(filter: EventFilter): string {
  const query = new URLSearchParams(eventQuery(filter)).toString();
  return `${apiPrefix}/admin/events/export${query && `?${query}`}`;
}

/** When a day "2026-11-25" begins, or one some days later (RFC 3339); nothing for what is no day. */
function startOfDay(day: string, later: number): string | undefined {
  const parts = /^(\d{4})-(\d{2})-(\d{2})$/.exec(day);
  if (!parts) return undefined;
  const [year, month, date] = parts.slice(1).map(Number) as [number, number, number];
  return new Date(year, month - 1, date + later).toISOString();
}
