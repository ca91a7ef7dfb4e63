import { pickFiles, type HandleSource } from './handles';

export interface DroppedFile {
  /** Its place below the target folder. */
  path: string;
  file: File;
  /** Finds what the file can be opened again with, after the page was loaded again, where the browser can. */
  handle?: (() => Promise<FileSystemFileHandle | undefined>) | undefined;
}

/** What a reader chose or dropped: files with their places below the target folder, and folders that are empty. */
export interface Dropped {
  files: DroppedFile[];
  /** Relative paths of folders without anything in them. */
  emptyFolders: string[];
}

/** What an <input type="file"> holds; with webkitdirectory the files know their places. */
export function fromInput(list: FileList): Dropped {
  const files = Array.from(list, (file) => ({ path: normal(file.webkitRelativePath || file.name), file }));
  return { files, emptyFolders: [] };
}

/** Files that the reader picks in the browser's dialog. */
export async function fromPicker(): Promise<Dropped> {
  const picked = await pickFiles();
  const files = picked.map(({ file, handle }) => ({
    path: normal(file.name),
    file,
    handle: () => Promise.resolve(handle),
  }));
  return { files, emptyFolders: [] };
}

type Source = Promise<FileSystemHandle | null | undefined>;

interface Entry {
  entry: FileSystemEntry;
  /** What was dropped, that the entry is or is in. */
  source: Source;
}

/**
 * What was dropped, folders walked to the bottom. The DataTransfer is empty as soon as the event is over, so
 * it is read before the first await.
 */
export function fromDrop(transfer: DataTransfer): Promise<Dropped> {
  const entries: Entry[] = [];
  const found: Dropped = { files: [], emptyFolders: [] };
  for (const item of transfer.items) {
    if (item.kind !== 'file') continue;
    const entry = item.webkitGetAsEntry();
    const file = entry ? null : item.getAsFile();
    if (entry) entries.push({ entry, source: handleOf(item) });
    else if (file) found.files.push({ path: normal(file.name), file });
  }
  return walkAll(entries, found);
}

async function walkAll(entries: Entry[], found: Dropped): Promise<Dropped> {
  const open = [...entries];
  for (let next = open.pop(); next; next = open.pop()) {
    const { entry, source } = next;
    const raw = entry.fullPath.replace(/^\/+/, '');
    const path = normal(raw);
    if (isFile(entry)) {
      found.files.push({ path, file: await fileOf(entry), handle: () => descend(source, raw) });
    } else if (isFolder(entry)) {
      const inside = await entriesOf(entry);
      if (inside.length === 0) found.emptyFolders.push(path);
      open.push(...inside.reverse().map((child) => ({ entry: child, source })));
    }
  }
  return found;
}

/** macOS hands names out decomposed; the drive keeps them in normal form C. */
function normal(path: string): string {
  return path.normalize('NFC');
}

function handleOf(item: DataTransferItem & HandleSource): Source {
  // A refusal comes when the handle is wanted, if ever.
  return item.getAsFileSystemHandle?.().catch(() => undefined) ?? Promise.resolve(undefined);
}

/** The handle of a file by its path, which begins with the name of what was dropped. */
async function descend(source: Source, path: string): Promise<FileSystemFileHandle | undefined> {
  try {
    let at = await source;
    for (const [n, name] of path.split('/').slice(1).entries()) {
      const isLast = n === path.split('/').length - 2;
      if (!isFolderHandle(at)) return undefined;
      at = isLast ? await at.getFileHandle(name) : await at.getDirectoryHandle(name);
    }
    return isFileHandle(at) ? at : undefined;
  } catch {
    return undefined;
  }
}

function isFileHandle(handle: FileSystemHandle | null | undefined): handle is FileSystemFileHandle {
  return handle?.kind === 'file';
}

function isFolderHandle(handle: FileSystemHandle | null | undefined): handle is FileSystemDirectoryHandle {
  return handle?.kind === 'directory';
}

function isFile(entry: FileSystemEntry): entry is FileSystemFileEntry {
  return entry.isFile;
}

function isFolder(entry: FileSystemEntry): entry is FileSystemDirectoryEntry {
  return entry.isDirectory;
}

function fileOf(entry: FileSystemFileEntry): Promise<File> {
  return new Promise((resolve, reject) => entry.file(resolve, reject));
}

/** readEntries gives a part at a time (100 in Chromium), and an empty one at the end. */
async function entriesOf(folder: FileSystemDirectoryEntry): Promise<FileSystemEntry[]> {
  const reader = folder.createReader();
  const all: FileSystemEntry[] = [];
  for (;;) {
    const part = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (part.length === 0) return all;
    all.push(...part);
  }
}
