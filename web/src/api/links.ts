import { apiPrefix, type Node } from './client';

/** The address of a file's bytes; the server answers with an attachment. */
export function contentLink(id: string, version?: number): string {
  const query = version === undefined ? '' : `?version=${version}`;
  return `${apiPrefix}/content/${encodeURIComponent(id)}${query}`;
}

/** An address holds no more items than this: servers bound the head of a request. */
const archiveItems = 500;

/** The addresses of zip archives that hold these nodes, folders with all that is in them; mostly it is one. */
export function archiveLinks(nodes: readonly Pick<Node, 'id' | 'path' | 'kind'>[]): string[] {
  const [first] = nodes;
  if (nodes.length === 1 && first?.kind === 'folder') {
    return [`${apiPrefix}/archive?${new URLSearchParams({ path: first.path }).toString()}`];
  }
  const links: string[] = [];
  for (let at = 0; at < nodes.length; at += archiveItems) {
    const ids = nodes.slice(at, at + archiveItems).map(({ id }) => encodeURIComponent(id));
    links.push(`${apiPrefix}/archive?ids=${ids.join(',')}`);
  }
  return links;
}

/** Downloads addresses one after another without leaving the page. */
export function download(links: readonly string[]): void {
  for (const href of links) {
    const anchor = document.createElement('a');
    anchor.href = href;
    anchor.download = '';
    document.body.append(anchor);
    anchor.click();
    anchor.remove();
  }
}
