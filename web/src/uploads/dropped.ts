/** What a reader chose or dropped: files with their places below the target folder, and folders that are empty. */
export interface Dropped {
  files: { path: string; file: File }[];
  /** Relative paths of folders without anything in them. */
  emptyFolders: string[];
}

/** What an <input type="file"> holds; with webkitdirectory the files know their places. */
export function fromInput(list: FileList): Dropped {
  const files = Array.from(list, (file) => ({ path: normal(file.webkitRelativePath || file.name), file }));
  return { files, emptyFolders: [] };
}

/**
 * What was dropped, folders walked to the bottom. The DataTransfer is empty as soon as the event is over, so
 * it is read before the first await.
 */
export function fromDrop(transfer: DataTransfer): Promise<Dropped> {
  const entries: FileSystemEntry[] = [];
  const found: Dropped = { files: [], emptyFolders: [] };
  for (const item of transfer.items) {
    if (item.kind !== 'file') continue;
    const entry = item.webkitGetAsEntry();
    const file = entry ? null : item.getAsFile();
    if (entry) entries.push(entry);
    else if (file) found.files.push({ path: normal(file.name), file });
  }
  return walkAll(entries, found);
}

async function walkAll(entries: FileSystemEntry[], found: Dropped): Promise<Dropped> {
  const open = [...entries];
  for (let entry = open.pop(); entry; entry = open.pop()) {
    const path = normal(entry.fullPath.replace(/^\/+/, ''));
    if (isFile(entry)) {
      found.files.push({ path, file: await fileOf(entry) });
    } else if (isFolder(entry)) {
      const inside = await entriesOf(entry);
      if (inside.length === 0) found.emptyFolders.push(path);
      open.push(...inside.reverse());
    }
  }
  return found;
}

/** macOS hands names out decomposed; the drive keeps them in normal form C. */
function normal(path: string): string {
  return path.normalize('NFC');
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
