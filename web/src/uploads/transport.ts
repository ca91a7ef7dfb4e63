import { api, apiPrefix, body } from '../api/client';
import { Problem } from '../api/problem';
import type { components } from '../api/schema.gen';
import type { UploadItem } from './item';
import type { SessionRef, SessionTransport } from './session';
import { isReadable, sendBytes } from './xhr';

export type BatchResult = components['schemas']['BatchResult'];

interface Carried {
  signal: AbortSignal;
  progress: (bytes: number) => void;
}

/** The content's own time, as the API wants it; undefined where the browser does not say. */
function modifiedAt(file: File): string | undefined {
  return file.lastModified > 0 ? new Date(file.lastModified).toISOString() : undefined;
}

/** Sends a whole file in one request. */
export async function putContent(item: UploadItem & { file: File }, on: Carried): Promise<void> {
  const query = new URLSearchParams({ path: item.path, parents: 'true', conflict: item.policy });
  const modified = modifiedAt(item.file);
  if (modified) query.set('modifiedAt', modified);
  const headers = { 'Content-Type': 'application/octet-stream', 'Idempotency-Key': item.idempotencyKey };
  const url = `${apiPrefix}/uploads/content?${query.toString()}`;
  await unlessUnreadable(item.file, on.signal, () =>
    sendBytes({ ...on, method: 'PUT', url, headers, body: item.file }),
  );
}

/** Sends a tar stream of files and folders that belong below the drive's root. */
export async function putBatch(
  tar: Blob,
  { conflict, key }: { conflict: string; key: string },
  on: Carried,
): Promise<BatchResult[]> {
  const query = new URLSearchParams({ path: '/', conflict });
  const headers = { 'Content-Type': 'application/x-tar', 'Idempotency-Key': key };
  const url = `${apiPrefix}/uploads/batch?${query.toString()}`;
  const answer = await sendBytes({ ...on, method: 'POST', url, headers, body: tar });
  return readResults(answer);
}

function readResults(answer: string): BatchResult[] {
  try {
    const { results } = JSON.parse(answer) as components['schemas']['BatchResponse'];
    if (Array.isArray(results)) return results;
  } catch {
    // A proxy's page, perhaps.
  }
  throw new Problem({ status: -1, code: 'unexpected' });
}

export const sessionTransport: SessionTransport = {
  create: async (item, { sums, idempotencyKey }, signal) => {
    const modified = item.file && modifiedAt(item.file);
    return body(
      await api.POST('/api/v1/uploads', {
        params: { header: { 'Idempotency-Key': idempotencyKey } },
        body: {
          path: item.path,
          size: item.size,
          conflict: item.policy,
          parents: true,
          ...(modified && { modifiedAt: modified }),
          ...sums,
        },
        signal,
      }),
    );
  },
  get: async (ref, signal) =>
    body(await api.GET('/api/v1/uploads/{id}', { params: { path: { id: ref.id } }, headers: tokenOf(ref), signal })),
  putBlocks: async (ref, n, blocks, digest, on) => {
    const headers = {
      ...tokenOf(ref),
      'Content-Type': 'application/octet-stream',
      ...(digest && { 'Content-Digest': digest }),
    };
    const url = `${apiPrefix}/uploads/${encodeURIComponent(ref.id)}/blocks/${n}`;
    await unlessUnreadable(blocks, on.signal, () => sendBytes({ ...on, method: 'PUT', url, headers, body: blocks }));
  },
  prove: async (ref, answers, signal) =>
    body(
      await api.POST('/api/v1/uploads/{id}/proof', {
        params: { path: { id: ref.id } },
        headers: tokenOf(ref),
        body: { answers },
        signal,
      }),
    ),
  complete: async (ref, signal) => {
    await api.POST('/api/v1/uploads/{id}/complete', {
      params: { path: { id: ref.id } },
      headers: tokenOf(ref),
      signal,
    });
  },
  drop: async (ref) => {
    await api.DELETE('/api/v1/uploads/{id}', { params: { path: { id: ref.id } }, headers: tokenOf(ref) });
  },
};

function tokenOf({ token }: SessionRef): Record<string, string> {
  return token ? { 'Upload-Token': token } : {};
}

/** Tells bytes that can no longer be read from a broken connection. */
async function unlessUnreadable<T>(bytes: Blob, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof Problem && error.status === 0 && !signal.aborted && !(await isReadable(bytes))) {
      throw new Problem({ status: -1, code: 'unreadable' });
    }
    throw error;
  }
}
