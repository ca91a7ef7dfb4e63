const gib = 2 ** 30;

/** A quota as a field shows it, in GiB: empty is without a limit. Exact for what was written in such a field. */
export function quotaText(bytes: number): string {
  // Every number of bytes has at most 30 digits after the point; String would write small ones as 1e-9.
  return bytes === 0 ? '' : (bytes / gib).toFixed(30).replace(/\.?0+$/, '');
}

/** The bytes that a field says, or undefined when it says no quota: none is negative, and 0 would mean no limit at all. */
export function quotaBytes(text: string): number | undefined {
  const trimmed = text.trim().replace(',', '.');
  if (trimmed === '') return 0;
  if (!/^\d+(\.\d+)?$/.test(trimmed)) return undefined;
  const bytes = Math.round(Number(trimmed) * gib);
  return bytes > 0 && Number.isSafeInteger(bytes) ? bytes : undefined;
}
