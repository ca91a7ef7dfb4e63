import { toHex } from './hasher';

/** Chromium's part of the File System Access API that the types do not know yet. */
interface PermissionHandle {
  queryPermission?: (of: { mode: 'read' }) => Promise<PermissionState>;
  requestPermission?: (of: { mode: 'read' }) => Promise<PermissionState>;
}

interface FilePicker {
  showOpenFilePicker?: (options: { multiple: boolean }) => Promise<FileSystemFileHandle[]>;
}

/** How a dropped thing is found again; the types do not know it yet. */
export interface HandleSource {
  getAsFileSystemHandle?: () => Promise<FileSystemHandle | null>;
}

export function canPick(): boolean {
  return typeof (window as FilePicker).showOpenFilePicker === 'function';
}

/** Lets the reader choose files, with handles. Empty when they choose none. */
export async function pickFiles(): Promise<{ file: File; handle: FileSystemFileHandle }[]> {
  try {
    const handles = (await (window as FilePicker).showOpenFilePicker?.({ multiple: true })) ?? [];
    return await Promise.all(handles.map(async (handle) => ({ file: await handle.getFile(), handle })));
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') return [];
    throw error;
  }
}

/** The file behind a handle; undefined when it is gone or may not be read. Asking needs a click. */
export async function fileBehind(handle: FileSystemFileHandle, ask: boolean): Promise<File | undefined> {
  const { queryPermission, requestPermission } = handle as PermissionHandle;
  try {
    let state = (await queryPermission?.call(handle, { mode: 'read' })) ?? 'denied';
    if (state === 'prompt' && ask) state = (await requestPermission?.call(handle, { mode: 'read' })) ?? 'denied';
    return state === 'granted' ? await handle.getFile() : undefined;
  } catch {
    return undefined;
  }
}

const sampleBytes = 64 << 10;

/**
 * SHA-256 over a file's first, middle and last 64 KiB: tells a file that changed without its size or time doing
 * so, soon. Empty where nothing can be hashed. The server checks each block of what was announced anyway.
 */
export async function sampleOf(file: Blob): Promise<string> {
  const subtle = crypto.subtle as SubtleCrypto | undefined;
  const middle = Math.max(0, Math.floor(file.size / 2) - sampleBytes / 2);
  const at = [0, middle, Math.max(0, file.size - sampleBytes)];
  try {
    const bytes = await new Blob(at.map((from) => file.slice(from, from + sampleBytes))).arrayBuffer();
    return subtle ? toHex(new Uint8Array(await subtle.digest('SHA-256', bytes))) : '';
  } catch {
    return '';
  }
}
