/** What a path holds now; undefined for nothing. */
export type Lookup = (path: string) => Promise<'folder' | 'file' | undefined>;

interface Branch {
  path: string;
  /** Undefined for a file. */
  children: Map<string, Branch> | undefined;
}

/**
 * The first of the relative paths that is taken in the folder, or undefined. It descends only into folders that
 * exist on both sides, so a new folder of any size costs one question.
 */
export async function findConflict(
  folder: string,
  paths: readonly string[],
  lookup: Lookup,
  parallel = 6,
): Promise<string | undefined> {
  const open = [...(branch(folder === '/' ? '' : folder, paths).children?.values() ?? [])];
  let conflict: string | undefined;
  const isFound = () => conflict !== undefined;
  while (open.length > 0 && !isFound()) {
    await Promise.all(
      open.splice(0, parallel).map(async ({ path, children }) => {
        const there = await lookup(path);
        if (there === 'folder' && children) open.push(...children.values());
        else if (there) conflict ??= path;
      }),
    );
  }
  return conflict;
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
