import { apiPrefix } from './client';

/** The address of a file's bytes; the server answers with an attachment. */
export function contentLink(id: string, version?: number): string {
  const query = version === undefined ? '' : `?version=${version}`;
  return `${apiPrefix}/content/${encodeURIComponent(id)}${query}`;
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
