import { apiPrefix, commonHeaders } from '../api/client';
import { networkProblem, Problem, readProblem } from '../api/problem';
import type { Send } from './engine';
import type { UploadItem } from './item';

// A connection can die without a word. These say how long no progress is taken for slowness, in ms: while bytes
// are sent, and while the server makes the whole file durable.
const sendStall = 60_000;
const saveStall = 10 * 60_000;

/** Sends a file in one request. XMLHttpRequest, because fetch cannot tell how much was sent. */
export const sendFile: Send = async (item, on) => {
  try {
    await request(item, on.signal, on.progress);
  } catch (error) {
    if (error instanceof Problem && error.status === 0 && !on.signal.aborted && !(await isReadable(item.file))) {
      throw new Problem({ status: -1, code: 'unreadable' });
    }
    throw error;
  }
};

function request(item: UploadItem, signal: AbortSignal, progress: (sent: number) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const xhr = new XMLHttpRequest();
    const abort = () => xhr.abort();
    let stall: ReturnType<typeof setTimeout> | undefined;
    const watch = (ms: number) => {
      clearTimeout(stall);
      stall = setTimeout(abort, ms);
    };
    xhr.open('PUT', address(item));
    for (const [name, value] of Object.entries(commonHeaders())) xhr.setRequestHeader(name, value);
    xhr.setRequestHeader('Content-Type', 'application/octet-stream');
    xhr.setRequestHeader('Idempotency-Key', item.idempotencyKey);
    xhr.upload.addEventListener('progress', (event) => {
      watch(event.loaded >= item.file.size ? saveStall : sendStall);
      progress(event.loaded);
    });
    xhr.addEventListener('load', () => {
      if (xhr.status >= 200 && xhr.status < 300) resolve();
      else reject(readProblem(xhr.status, xhr.responseText, xhr.getResponseHeader('Retry-After')));
    });
    xhr.addEventListener('error', () => reject(networkProblem()));
    xhr.addEventListener('abort', () => reject(networkProblem()));
    xhr.addEventListener('loadend', () => {
      clearTimeout(stall);
      signal.removeEventListener('abort', abort);
    });
    signal.addEventListener('abort', abort);
    watch(sendStall);
    xhr.send(item.file);
  });
}

function address(item: UploadItem): string {
  const query = new URLSearchParams({ path: item.path, parents: 'true', conflict: item.policy });
  if (item.file.lastModified > 0) query.set('modifiedAt', new Date(item.file.lastModified).toISOString());
  return `${apiPrefix}/uploads/content?${query.toString()}`;
}

/** A file that was changed or removed since it was chosen fails just like a broken connection does. */
async function isReadable(file: File): Promise<boolean> {
  try {
    await file.slice(0, 1).arrayBuffer();
    return true;
  } catch {
    return false;
  }
}
