/** A folder, or a file with its bytes, as an entry of a tar stream. */
export interface TarEntry {
  /** Relative, "/" between names; a folder's may end with one. */
  path: string;
  /** Undefined for a folder. */
  content?: Blob;
  /** Milliseconds since 1970; undefined leaves it out. */
  modified?: number | undefined;
}

export interface Tar {
  blob: Blob;
  /** For each entry the offset in the stream at which it is whole. */
  ends: number[];
}

const blockBytes = 512;
const encoder = new TextEncoder();

/**
 * A POSIX pax archive (IEEE Std 1003.1, "pax"): ustar headers, and a header of pax records before an entry whose
 * path or time does not fit into one. It refers to the files' bytes and reads none of them.
 */
export function writeTar(entries: readonly TarEntry[]): Tar {
  const parts: BlobPart[] = [];
  const ends: number[] = [];
  let at = 0;
  const push = (part: Uint8Array<ArrayBuffer> | Blob, size: number) => {
    parts.push(part);
    at += size;
  };
  for (const entry of entries) {
    for (const block of headers(entry)) push(block, block.length);
    if (entry.content && entry.content.size > 0) {
      push(entry.content, entry.content.size);
      const rest = at % blockBytes;
      if (rest > 0) push(new Uint8Array(blockBytes - rest), blockBytes - rest);
    }
    ends.push(at);
  }
  push(new Uint8Array(2 * blockBytes), 2 * blockBytes);
  return { blob: new Blob(parts, { type: 'application/x-tar' }), ends };
}

function headers({ path, content, modified }: TarEntry): Uint8Array<ArrayBuffer>[] {
  const name = content ? path : `${path.replace(/\/+$/, '')}/`;
  const seconds = modified === undefined ? 0 : Math.floor(modified / 1000);
  const records: [string, string][] = [];
  if (name.length > 100 || !isAscii(name)) records.push(['path', name]);
  // The header counts whole seconds from 1970 on, in eleven octal digits.
  if (modified !== undefined && (modified % 1000 !== 0 || seconds < 0 || seconds >= 8 ** 11)) {
    records.push(['mtime', (modified / 1000).toString()]);
  }
  const main = header({
    name,
    size: content?.size ?? 0,
    seconds: Math.min(8 ** 11 - 1, Math.max(0, seconds)),
    type: content ? '0' : '5',
  });
  if (records.length === 0) return [main];
  const body = encoder.encode(records.map(([key, value]) => paxRecord(key, value)).join(''));
  const padded = new Uint8Array(Math.ceil(body.length / blockBytes) * blockBytes);
  padded.set(body);
  return [header({ name: 'PaxHeaders/entry', size: body.length, seconds: 0, type: 'x' }), padded, main];
}

interface Fields {
  name: string;
  size: number;
  seconds: number;
  type: '0' | '5' | 'x';
}

function header({ name, size, seconds, type }: Fields): Uint8Array<ArrayBuffer> {
  const block = new Uint8Array(blockBytes);
  const put = (at: number, text: string) => block.set(encoder.encode(text), at);
  const octal = (at: number, width: number, value: number) => put(at, value.toString(8).padStart(width - 1, '0'));
  // Where the true path is in a pax record, this one is for readers that know none.
  put(0, isAscii(name) ? name.slice(0, 100) : name.replace(/[^ -~]/gu, '_').slice(0, 100));
  octal(100, 8, type === '5' ? 0o755 : 0o644);
  octal(108, 8, 0);
  octal(116, 8, 0);
  octal(124, 12, size);
  octal(136, 12, seconds);
  put(148, '        ');
  put(156, type);
  put(257, 'ustar\u000000');
  octal(329, 8, 0);
  octal(337, 8, 0);
  const sum = block.reduce((total, byte) => total + byte, 0);
  put(148, `${sum.toString(8).padStart(6, '0')}\u0000 `);
  return block;
}

/** "LENGTH key=value\n" in UTF-8, where LENGTH counts the whole record, its own digits included. */
export function paxRecord(key: string, value: string): string {
  const rest = encoder.encode(` ${key}=${value}\n`).length;
  let length = rest + String(rest).length;
  if (String(length).length > String(rest).length) length = rest + String(length).length;
  return `${length} ${key}=${value}\n`;
}

function isAscii(text: string): boolean {
  return /^[ -~]*$/.test(text);
}
