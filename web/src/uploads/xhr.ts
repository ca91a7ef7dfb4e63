import { commonHeaders } from '../api/client';
import { networkProblem, readProblem } from '../api/problem';

// A connection can die without a word. These say how long no progress is taken for slowness, in ms: while bytes
// are sent, and while the server makes them durable.
const sendStall = 60_000;
const saveStall = 10 * 60_000;

export interface Sending {
  method: 'PUT' | 'POST';
  url: string;
  headers: Record<string, string>;
  body: Blob;
  signal: AbortSignal;
  progress: (sent: number) => void;
}

/**
 * Sends bytes and resolves with the text of the answer; rejects with a Problem. XMLHttpRequest, because fetch
 * cannot tell how much was sent.
 */
export function sendBytes({ method, url, headers, body, signal, progress }: Sending): Promise<string> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(networkProblem());
      return;
    }
    const xhr = new XMLHttpRequest();
    const abort = () => xhr.abort();
    let stall: ReturnType<typeof setTimeout> | undefined;
    const watch = (ms: number) => {
      clearTimeout(stall);
      stall = setTimeout(abort, ms);
    };
    xhr.open(method, url);
    for (const [name, value] of Object.entries({ ...commonHeaders(), ...headers })) xhr.setRequestHeader(name, value);
    xhr.upload.addEventListener('progress', (event) => {
      watch(event.loaded >= body.size ? saveStall : sendStall);
      progress(event.loaded);
    });
    xhr.addEventListener('load', () => {
      if (xhr.status >= 200 && xhr.status < 300) resolve(xhr.responseText);
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
    xhr.send(body);
  });
}

/** A file that was changed or removed since it was chosen fails just like a broken connection does. */
export async function isReadable(file: Blob): Promise<boolean> {
  try {
    await file.slice(0, 1).arrayBuffer();
    return true;
  } catch {
    return false;
  }
}
