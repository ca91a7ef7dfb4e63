import { api, body, type Node } from '../api/client';
import { each } from '../api/each';
import { Problem } from '../api/problem';
import type { Kind } from './conflicts';
import type { UploadItem } from './item';

/** As many entries as the server gives at once. */
const page = 1000;
/** A folder with more entries than this is not read to find out about names. */
const mostEntries = 5000;

export async function kindOf(path: string): Promise<Kind> {
  return (await nodeAt(path))?.kind;
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

/** Those files that are in the drive with their size and time. Rejects when the server cannot be asked. */
export async function findStored(items: readonly UploadItem[]): Promise<ReadonlySet<UploadItem>> {
  const stored = new Set<UploadItem>();
  const { failed } = await each(items, async (item) => {
    const node = await nodeAt(item.path);
    const alike = node?.kind === 'file' && node.size === item.size;
    if (alike && Date.parse(node.modifiedAt) === item.file?.lastModified) stored.add(item);
  });
  if (failed[0]) throw failed[0].error;
  return stored;
}

async function nodeAt(path: string): Promise<Node | undefined> {
  try {
    return body(await api.GET('/api/v1/stat', { params: { query: { path } } }));
  } catch (error) {
    if (error instanceof Problem && error.status === 404) return undefined;
    throw error;
  }
}
