import { api, body } from '../api/client';
import { Problem } from '../api/problem';
import type { Kind } from './conflicts';

/** As many entries as the server gives at once. */
const page = 1000;
/** A folder with more entries than this is not read to find out about names. */
const mostEntries = 5000;

export async function kindOf(path: string): Promise<Kind> {
  try {
    return body(await api.GET('/api/v1/stat', { params: { query: { path } } })).kind;
  } catch (error) {
    if (error instanceof Problem && error.status === 404) return undefined;
    throw error;
  }
}

/** What a folder holds, by name; nothing when it is not there. Undefined when that would be too much. */
export async function kindsIn(folder: string): Promise<ReadonlyMap<string, Kind> | undefined> {
  const kinds = new Map<string, Kind>();
  let cursor: string | undefined;
  try {
    do {
      const query = { path: folder, limit: page, ...(cursor && { cursor }) };
      const { items, total, nextCursor } = body(await api.GET('/api/v1/files', { params: { query } }));
      if (total > mostEntries) return undefined;
      for (const { name, kind } of items) kinds.set(name, kind);
      cursor = nextCursor;
    } while (cursor);
  } catch (error) {
    if (error instanceof Problem && error.status === 404) return kinds;
    throw error;
  }
  return kinds;
}
