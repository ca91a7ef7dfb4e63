/** Paths in the drive are absolute and canonical: "/", "/a", "/a/b". Names hold no slash. */

export function joinPath(folder: string, name: string): string {
  return folder === '/' ? `/${name}` : `${folder}/${name}`;
}

/** The folder that holds a path; the root's is the root. */
export function parentPath(path: string): string {
  const cut = path.lastIndexOf('/');
  return cut <= 0 ? '/' : path.slice(0, cut);
}

/** The last name; "" for the root. */
export function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

/** The folders from the root down to a path, itself included. */
export function ancestors(path: string): { name: string; path: string }[] {
  const all = [{ name: '', path: '/' }];
  let at = '/';
  for (const name of path.split('/').filter(Boolean)) {
    at = joinPath(at, name);
    all.push({ name, path: at });
  }
  return all;
}

/** Whether a path is the folder itself or anywhere below it. */
export function isWithin(path: string, folder: string): boolean {
  return folder === '/' || path === folder || path.startsWith(`${folder}/`);
}

const prefix = '/files';

/** The page's address that shows a folder. */
export function folderAddress(path: string): string {
  return prefix + path.replace(/\/$/, '').split('/').map(encodeURIComponent).join('/');
}

/**
 * The folder that an address shows; undefined for an address that no folder has. It reads the address itself and
 * not the router's parameter, which turns a "%2F" in a name into a separator.
 */
export function folderOfAddress(pathname: string): string | undefined {
  const names: string[] = [];
  for (const part of pathname.slice(prefix.length).split('/')) {
    if (part === '') continue;
    try {
      names.push(decodeURIComponent(part));
    } catch {
      return undefined;
    }
  }
  return names.some((name) => name.includes('/')) ? undefined : `/${names.join('/')}`;
}

export type NameFault = 'empty' | 'slash' | 'dots' | 'invisible' | 'long';

/** Why the server would refuse a name; undefined when it is fine. The server checks again. */
export function nameFault(name: string): NameFault | undefined {
  if (name === '') return 'empty';
  if (/[/\\]/.test(name)) return 'slash';
  if (name === '.' || name === '..') return 'dots';
  if (/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u.test(name)) return 'invisible';
  if (new TextEncoder().encode(name.normalize('NFC')).length > 255) return 'long';
  return undefined;
}

/** Where a name's extension begins, so that renaming can select what is before it. */
export function stemLength(name: string): number {
  const dot = /\.(tar\.\w+|\w{1,10})$/u.exec(name);
  return dot && dot.index > 0 ? dot.index : name.length;
}
