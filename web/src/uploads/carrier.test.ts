import { describe, expect, it } from 'vitest';
import { networkProblem, Problem } from '../api/problem';
import { newCarrier, type CarrierTools } from './carrier';
import type { Companion, Course } from './engine';
import type { UploadItem } from './item';
import { maxTries } from './retry';
import { Traffic } from './traffic';
import type { BatchResult } from './transport';

function companion(path: string, content: string, seen: string[]): Companion {
  const file = new File([content], path.slice(1), { lastModified: 5000 });
  const item: UploadItem = {
    id: 1,
    owner: 'ann',
    path,
    size: file.size,
    file,
    handle: undefined,
    policy: 'rename',
    idempotencyKey: `key of ${path}`,
    state: 'sending',
    sent: 0,
    hashed: 0,
    together: true,
  };
  const course: Course = {
    signal: new AbortController().signal,
    hashed: () => undefined,
    resumed: (bytes) => seen.push(`${path} from ${bytes}`),
    sent: (bytes) => seen.push(`${path} ${bytes}`),
    retrying: (problem) => seen.push(`${path} ${problem.code}`),
  };
  return { item, course };
}

function setUp(answers: (BatchResult[] | Problem)[]) {
  const seen: string[] = [];
  const sent: { tar: Blob; conflict: string; key: string }[] = [];
  const singles: string[] = [];
  const unreadable = new Set<string>();
  const inDrive = new Set<string>();
  const looked: number[] = [];
  const tools: CarrierTools = {
    transport: undefined as never,
    hasher: undefined,
    traffic: new Traffic(() => 0),
    book: { get: () => undefined, set: () => undefined },
    clock: { wait: () => Promise.resolve(), random: () => 0, now: () => 0 },
    putContent: (item) => {
      singles.push(item.idempotencyKey);
      const answer = answers.shift();
      return answer instanceof Problem ? Promise.reject(answer) : Promise.resolve();
    },
    putBatch: (tar, batch, on) => {
      sent.push({ tar, ...batch });
      on.progress(1024);
      on.progress(tar.size);
      const answer = answers.shift();
      return answer instanceof Problem ? Promise.reject(answer) : Promise.resolve(answer ?? []);
    },
    isReadable: (file) => Promise.resolve(!(file instanceof File && unreadable.has(file.name))),
    findStored: (items) => {
      looked.push(items.length);
      return Promise.resolve(new Set(items.filter((item) => inDrive.has(item.path))));
    },
  };
  const carrier = newCarrier(tools);
  const batch = [companion('/dir/a', 'aa', seen), companion('/dir/b', 'b', seen)];
  const send = () => carrier.sendTogether(batch, 'key', new AbortController().signal);
  return { carrier, batch, seen, sent, singles, unreadable, inDrive, looked, send };
}

const stored = (path: string): BatchResult => ({ path, status: 201 });

describe('a batch', () => {
  it('is one tar stream with paths from the root, and shows each file as it goes out', async () => {
    const { sent, seen, send } = setUp([[stored('/dir/a'), { path: '/dir/b', status: 200 }]]);
    expect(await send()).toEqual(['stored', 'stored']);
    expect(sent).toHaveLength(1);
    expect(sent[0]).toMatchObject({ conflict: 'rename', key: 'key' });
    const bytes = new TextDecoder().decode(await sent[0]?.tar.arrayBuffer());
    expect(bytes.startsWith('dir/a\0')).toBe(true);
    expect(bytes.slice(512, 514)).toBe('aa');
    expect(seen).toEqual(['/dir/a from 0', '/dir/b from 0', '/dir/a 2', '/dir/b 1']);
  });

  it('tells what became of each entry', async () => {
    const { send } = setUp([
      [
        { path: '/dir/a', status: 409, code: 'name_taken', title: 'Taken.' },
        { path: '/dir/b', status: 503, code: 'busy' },
      ],
    ]);
    const [a, b] = await send();
    expect(a).toMatchObject({ status: 409, code: 'name_taken', detail: 'Taken.' });
    expect(b).toBe('alone');
  });

  it('is tried again just as it was, and falls apart in the end', async () => {
    const { sent, seen, send } = setUp([networkProblem(), [stored('/dir/a'), stored('/dir/b')]]);
    expect(await send()).toEqual(['stored', 'stored']);
    expect(sent.map(({ key }) => key)).toEqual(['key', 'key']);
    expect(seen).toContain('/dir/a network');
    const bad = setUp([networkProblem(), networkProblem(), networkProblem(), networkProblem()]);
    expect(await bad.send()).toEqual(['alone', 'alone']);
    const refused = setUp([new Problem({ status: 413, code: 'too_large' })]);
    expect(await refused.send()).toEqual(['alone', 'alone']);
    expect(refused.sent).toHaveLength(1);
  });

  it('sends nothing twice of what a broken try had stored', async () => {
    const { send, sent, inDrive, looked } = setUp([networkProblem()]);
    inDrive.add('/dir/a');
    expect(await send()).toEqual(['stored', 'alone']);
    expect(sent).toHaveLength(1);
    expect(looked).toEqual([2]);
  });

  it('looks first when a batch that was stopped is sent again', async () => {
    const { send, sent, inDrive } = setUp([[stored('/dir/a'), stored('/dir/b')]]);
    await send();
    inDrive.add('/dir/a').add('/dir/b');
    expect(await send()).toEqual(['stored', 'stored']);
    expect(sent).toHaveLength(1);
  });

  it('says which file cannot be read', async () => {
    const { send, unreadable } = setUp([new Problem({ status: 400, code: 'invalid' })]);
    unreadable.add('dir/b');
    const [a, b] = await send();
    expect(a).toBe('alone');
    expect(b).toMatchObject({ code: 'unreadable' });
  });

  it('passes the end of the sign-in on', async () => {
    const { send } = setUp([new Problem({ status: 401, code: 'unauthenticated' })]);
    await expect(send()).rejects.toMatchObject({ status: 401 });
  });
});

describe('a single file', () => {
  it('is tried with the same key until it gives up', async () => {
    const { carrier, batch, singles } = setUp(Array.from({ length: maxTries }, networkProblem));
    const [only] = batch;
    if (!only) throw new Error('no file');
    await expect(carrier.send(only.item, only.course)).rejects.toMatchObject({ code: 'network' });
    expect(singles).toEqual(Array.from({ length: maxTries }, () => 'key of /dir/a'));
    expect(await carrier.send(only.item, only.course)).toBe('stored');
  });
});
