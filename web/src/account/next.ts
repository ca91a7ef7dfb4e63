/** Where to go after signing in: only ever a page of ours, whatever the address says. */
export function safeNext(next: string | null): string {
  if (next === null || !/^\/(?![/\\])/.test(next) || /^\/sign-?in\b/.test(next)) return '/files';
  return next;
}
