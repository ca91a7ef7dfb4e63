import { Problem } from '../api/problem';
import type { Carrier, Companion, Verdict } from './engine';
import type { UploadItem } from './item';
import { mayRetry, maxTries, patiently } from './retry';
import { routeOf } from './route';
import { sendSession, type SessionTools } from './session';
import { writeTar } from './tar';
import type { BatchResult } from './transport';

/** How often a batch is tried before its files are sent one by one. */
const batchTries = 4;

interface Carried {
  signal: AbortSignal;
  progress: (bytes: number) => void;
}

export interface CarrierTools extends SessionTools {
  putContent: (item: UploadItem & { file: File }, on: Carried) => Promise<void>;
  putBatch: (tar: Blob, batch: { conflict: string; key: string }, on: Carried) => Promise<BatchResult[]>;
  isReadable: (file: Blob) => Promise<boolean>;
  /** Which of the files are in the drive just as they would be after their upload. */
  findStored: (items: readonly UploadItem[]) => Promise<ReadonlySet<UploadItem>>;
}

/** Chooses how a file travels: large ones in blocks, others whole, and small ones together. */
export function newCarrier(tools: CarrierTools): Carrier {
  const batches = new Set<string>();
  return {
    send: async (item, course) => {
      const { file } = item;
      if (!file) throw new Problem({ status: -1, code: 'unreadable' });
      const whole = { ...item, file };
      if (routeOf(item.size) === 'session') return sendSession(whole, course, tools);
      const work = () =>
        tools.traffic.lane(course.signal, () => {
          course.resumed(0);
          return tools.putContent(whole, { signal: course.signal, progress: course.sent });
        });
      await patiently(work, {
        signal: course.signal,
        clock: tools.clock,
        tries: maxTries,
        onWait: course.retrying,
      });
      return 'stored';
    },
    sendTogether: (batch, key, signal) => {
      const again = batches.has(key);
      batches.add(key);
      return sendBatch(batch, { key, again }, signal, tools);
    },
  };
}

/**
 * Sends a batch. Where an earlier try may have stored some of its files they are looked for first, and the others
 * go by themselves: only a single file has a key by which the server knows it again.
 */
async function sendBatch(
  batch: readonly Companion[],
  { key, again }: { key: string; again: boolean },
  signal: AbortSignal,
  tools: CarrierTools,
): Promise<Verdict[]> {
  const entries = batch.flatMap(({ item: { path, file } }) =>
    file ? [{ path: path.replace(/^\//, ''), content: file, modified: file.lastModified || undefined }] : [],
  );
  const { blob, ends } = writeTar(entries);
  const conflict = batch[0]?.item.policy ?? 'rename';
  let tried = again;
  const work = async () => {
    const stored = tried ? await findStored(batch, tools) : undefined;
    if (stored?.includes('stored')) return stored;
    tried = true;
    const results = await tools.traffic.lane(signal, () => {
      for (const { course } of batch) course.resumed(0);
      return tools.putBatch(blob, { conflict, key }, { signal, progress: progressOf(batch, ends) });
    });
    return batch.map((_, n) => verdictOf(results[n]));
  };
  try {
    const onWait = (problem: Problem) => batch.forEach(({ course }) => course.retrying(problem));
    return await patiently(work, { signal, clock: tools.clock, tries: batchTries, onWait });
  } catch (error) {
    if (!(error instanceof Problem) || error.status === 401 || signal.aborted) throw error;
    return fallApart(batch, tools);
  }
}

/** One file that cannot be read breaks the whole stream. The others go by themselves. */
async function fallApart(batch: readonly Companion[], tools: CarrierTools): Promise<Verdict[]> {
  const verdicts = await findStored(batch, tools).catch(() => batch.map((): Verdict => 'alone'));
  return Promise.all(
    batch.map(async ({ item: { file } }, n): Promise<Verdict> => {
      if (verdicts[n] === 'stored' || (file && (await tools.isReadable(file)))) return verdicts[n] ?? 'alone';
      return new Problem({ status: -1, code: 'unreadable' });
    }),
  );
}

async function findStored(batch: readonly Companion[], tools: CarrierTools): Promise<Verdict[]> {
  const stored = await tools.findStored(batch.map(({ item }) => item));
  return batch.map(({ item }) => (stored.has(item) ? 'stored' : 'alone'));
}

/** Shows each file's part of the stream as it goes out. */
function progressOf(batch: readonly Companion[], ends: readonly number[]): (bytes: number) => void {
  let whole = 0;
  return (bytes) => {
    for (let end = ends[whole]; end !== undefined && end <= bytes; end = ends[++whole]) {
      const companion = batch[whole];
      companion?.course.sent(companion.item.size);
    }
  };
}

function verdictOf(result: BatchResult | undefined): Verdict {
  if (!result || mayRetry(result)) return 'alone';
  if (result.status < 300) return 'stored';
  return new Problem({ status: result.status, code: result.code ?? 'unexpected', detail: result.title ?? '' });
}
