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
}

/** Chooses how a file travels: large ones in blocks, others whole, and small ones together. */
export function newCarrier(tools: CarrierTools): Carrier {
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
    sendTogether: (batch, key, signal) => sendBatch(batch, key, signal, tools),
  };
}

async function sendBatch(
  batch: readonly Companion[],
  key: string,
  signal: AbortSignal,
  tools: CarrierTools,
): Promise<Verdict[]> {
  const entries = batch.flatMap(({ item: { path, file } }) =>
    file ? [{ path: path.replace(/^\//, ''), content: file, modified: file.lastModified || undefined }] : [],
  );
  const { blob, ends } = writeTar(entries);
  const conflict = batch[0]?.item.policy ?? 'rename';
  const work = () =>
    tools.traffic.lane(signal, () => {
      for (const { course } of batch) course.resumed(0);
      return tools.putBatch(blob, { conflict, key }, { signal, progress: progressOf(batch, ends) });
    });
  try {
    const onWait = (problem: Problem) => batch.forEach(({ course }) => course.retrying(problem));
    const results = await patiently(work, { signal, clock: tools.clock, tries: batchTries, onWait });
    return batch.map((_, n) => verdictOf(results[n]));
  } catch (error) {
    if (!(error instanceof Problem) || error.status === 401 || signal.aborted) throw error;
    // One file that cannot be read breaks the whole stream. The others go by themselves.
    return Promise.all(
      batch.map(async ({ item: { file } }): Promise<Verdict> =>
        file && (await tools.isReadable(file)) ? 'alone' : new Problem({ status: -1, code: 'unreadable' }),
      ),
    );
  }
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
