import type { Locks, RecordStore, UploadRecord } from './keeper';

const database = 'gopan-uploads';
const table = 'uploads';

/** Records in IndexedDB, the one store of a page that can hold file handles. */
export function indexedRecords(): RecordStore {
  let opened: Promise<IDBDatabase> | undefined;
  const open = () => (opened ??= openDatabase());
  /** Where there is no database, as in some private windows, uploads end with the page. */
  const quietly = async <T>(work: (db: IDBDatabase) => Promise<T>, otherwise: T): Promise<T> => {
    try {
      return await work(await open());
    } catch {
      return otherwise;
    }
  };
  return {
    all: () =>
      quietly((db) => result(db.transaction(table).objectStore(table).getAll() as IDBRequest<UploadRecord[]>), []),
    get: (key) =>
      quietly(
        (db) => result(db.transaction(table).objectStore(table).get(key) as IDBRequest<UploadRecord | undefined>),
        undefined,
      ),
    put: (records) => quietly((db) => write(db, (store) => records.forEach((record) => store.put(record))), undefined),
    remove: (key) => quietly((db) => write(db, (store) => store.delete(key)), undefined),
  };
}

function openDatabase(): Promise<IDBDatabase> {
  const request = indexedDB.open(database, 1);
  request.addEventListener('upgradeneeded', () => request.result.createObjectStore(table, { keyPath: 'key' }));
  return result(request);
}

function result<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.addEventListener('success', () => resolve(request.result));
    request.addEventListener('error', () => reject(request.error ?? new Error('no database')));
  });
}

function write(db: IDBDatabase, change: (store: IDBObjectStore) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const transaction = db.transaction(table, 'readwrite');
    transaction.addEventListener('complete', () => resolve());
    transaction.addEventListener('abort', () => reject(transaction.error ?? new Error('not stored')));
    change(transaction.objectStore(table));
  });
}

/**
 * Locks that the browser shares among all pages of the drive; they end with the page. On plain http there are
 * none: two pages could then send the same blocks, which the server takes for a repeat.
 */
export function webLocks(): Locks {
  // The types believe that they are always there.
  const manager = navigator.locks as LockManager | undefined;
  const held = new Map<string, () => void>();
  return {
    take: (key) => {
      if (!manager || held.has(key)) return Promise.resolve();
      return new Promise((resolve) => {
        const hold = () => {
          resolve();
          return new Promise<void>((release) => held.set(key, release));
        };
        // A page that may not ask for locks goes on without.
        manager.request(`gopan-upload-${key}`, hold).catch(() => resolve());
      });
    },
    release: (key) => {
      held.get(key)?.();
      held.delete(key);
    },
  };
}
