import type { HashAnswer, HashRequest } from './hasher';

// One request after another, so that a worker holds one block at a time.
let last: Promise<void> = Promise.resolve();

self.addEventListener('message', ({ data }: MessageEvent<HashRequest>) => {
  last = last.then(() => answer(data));
});

async function answer({ id, blob, key }: HashRequest): Promise<void> {
  const reply: HashAnswer = { id };
  try {
    const bytes = await blob.arrayBuffer();
    reply.sum = key ? await hmac(key, bytes) : await crypto.subtle.digest('SHA-256', bytes);
  } catch {
    // The file has changed or is gone: an answer without a sum says so.
  }
  self.postMessage(reply);
}

async function hmac(key: BufferSource, bytes: ArrayBuffer): Promise<ArrayBuffer> {
  const algorithm = { name: 'HMAC', hash: 'SHA-256' };
  return crypto.subtle.sign('HMAC', await crypto.subtle.importKey('raw', key, algorithm, false, ['sign']), bytes);
}
