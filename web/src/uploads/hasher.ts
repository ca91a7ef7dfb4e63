import { Problem } from '../api/problem';

/** Computes sums away from the page's own thread. All reject with a Problem when the bytes cannot be read. */
export interface Hasher {
  /** SHA-256 of a blob. */
  sum: (blob: Blob) => Promise<Uint8Array<ArrayBuffer>>;
  /** HMAC-SHA-256 of a blob. */
  hmac: (key: Uint8Array<ArrayBuffer>, blob: Blob) => Promise<Uint8Array<ArrayBuffer>>;
  /** How many sums are computed at once. */
  readonly parallel: number;
}

export interface HashRequest {
  id: number;
  blob: Blob;
  key?: Uint8Array<ArrayBuffer>;
}

export interface HashAnswer {
  id: number;
  /** Undefined when the blob could not be read. */
  sum?: ArrayBuffer;
}

/**
 * A hasher with a few workers, made when they are first needed; undefined where the browser has no WebCrypto,
 * which is on plain http from another machine.
 */
export function newHasher(): Hasher | undefined {
  // The types believe that it is always there.
  const subtle = crypto.subtle as SubtleCrypto | undefined;
  return subtle ? new WorkerHasher(Math.max(1, Math.min(4, navigator.hardwareConcurrency))) : undefined;
}

class WorkerHasher implements Hasher {
  readonly parallel: number;
  private readonly workers: Worker[] = [];
  private readonly open = new Map<number, (sum: ArrayBuffer | undefined) => void>();
  private nextID = 0;

  constructor(parallel: number) {
    this.parallel = parallel;
  }

  sum(blob: Blob): Promise<Uint8Array<ArrayBuffer>> {
    return this.ask({ blob });
  }

  hmac(key: Uint8Array<ArrayBuffer>, blob: Blob): Promise<Uint8Array<ArrayBuffer>> {
    return this.ask({ blob, key });
  }

  private ask(request: Omit<HashRequest, 'id'>): Promise<Uint8Array<ArrayBuffer>> {
    const id = this.nextID++;
    return new Promise((resolve, reject) => {
      this.open.set(id, (sum) => {
        if (sum) resolve(new Uint8Array(sum));
        else reject(new Problem({ status: -1, code: 'unreadable' }));
      });
      this.worker(id % this.parallel).postMessage({ id, ...request } satisfies HashRequest);
    });
  }

  private worker(n: number): Worker {
    let worker = this.workers[n];
    if (!worker) {
      worker = new Worker(new URL('./hash.worker.ts', import.meta.url), { type: 'module' });
      worker.addEventListener('message', ({ data }: MessageEvent<HashAnswer>) => {
        this.open.get(data.id)?.(data.sum);
        this.open.delete(data.id);
      });
      this.workers[n] = worker;
    }
    return worker;
  }
}

/** The SHA-256 sums of a file's blocks in order, and the digest over them; progress counts bytes. */
export async function hashBlocks(
  hasher: Hasher,
  file: Blob,
  blockSize: number,
  on: { signal: AbortSignal; progress: (bytes: number) => void },
): Promise<{ blocks: string[]; digest: string }> {
  const sums: Uint8Array<ArrayBuffer>[] = [];
  let next = 0;
  let done = 0;
  const worker = async () => {
    for (let n = next++; n * blockSize < file.size; n = next++) {
      on.signal.throwIfAborted();
      const block = file.slice(n * blockSize, (n + 1) * blockSize);
      sums[n] = await hasher.sum(block);
      done += block.size;
      on.progress(done);
    }
  };
  await Promise.all(Array.from({ length: hasher.parallel }, worker));
  on.signal.throwIfAborted();
  return { blocks: sums.map(toHex), digest: toHex(await hasher.sum(new Blob(sums))) };
}

export function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

export function fromHex(hex: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(hex.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}

/** The value of a Content-Digest header (RFC 9530). */
export function contentDigest(sum: Uint8Array): string {
  return `sha-256=:${btoa(String.fromCharCode(...sum))}:`;
}
