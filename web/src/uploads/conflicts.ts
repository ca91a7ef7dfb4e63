/** What a path holds now; undefined for nothing. */
export type Kind = 'folder' | 'file' | undefined;
export type Lookup = (path: string) => Promise<Kind>;

/** All that is in a folder by name; undefined when it holds too much to be read for this. */
export type List = (folder: string) => Promise<ReadonlyMap<string, Kind> | undefined>;

interface Branch {
  path: string;
  /** Undefined for a file. */
  children: Map<string, Branch> | undefined;
}

/** From so many names on a folder is read, rather than asked about each. */
const many = 12;

/**
 * The first of the relative paths that is taken in the folder, or undefined. It descends only into folders that
 * exist on both sides, so a new folder of any size costs one question.
 */
export async function findConflict(
  folder: string,
  paths: readonly string[],
  lookup: Lookup,
  list: List,
  parallel = 6,
): Promise<string | undefined> {
  const open = [branch(folder === '/' ? '' : folder, paths)];
  for (let at = open.shift(); at; at = open.shift()) {
    const children = [...(at.children?.entries() ?? [])];
    const names = children.length >= many ? await list(at.path || '/') : undefined;
    const size = names ? children.length : parallel;
    while (children.length > 0) {
      const some = children.splice(0, size);
      const kinds = await Promise.all(some.map(async ([name, { path }]) => (names ? names.get(name) : lookup(path))));
      for (const [n, [, child]] of some.entries()) {
        if (kinds[n] === 'folder' && child.children) open.push(child);
        else if (kinds[n]) return child.path;
      }
    }
  }
  return undefined;
}

function branch(root: string, paths: readonly string[]): Branch {
  const top: Branch = { path: root, children: new Map() };
  for (const path of paths) {
    let at = top;
    for (const name of path.split('/')) {
      at.children ??= new Map();
      const next = at.children.get(name) ?? { path: `${at.path}/${name}`, children: undefined };
      at.children.set(name, next);
      at = next;
    }
  }
  return top;
}
