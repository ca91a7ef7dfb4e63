/** Where to go after signing in: only ever a page of ours, whatever the address says. */
export function safeNext(next: string | null): string {
  if (next === null || !/^\/(?![/\\])/.test(next) || next.startsWith('/signin')) return '/files';
  return next;
}
