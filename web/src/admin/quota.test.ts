import { describe, expect, it } from 'vitest';
import { quotaBytes, quotaText } from './quota';

describe('a quota in GiB', () => {
  it.each([
    ['', 0],
    [' ', 0],
    ['1', 2 ** 30],
    ['0.5', 2 ** 29],
    ['1,5', 1.5 * 2 ** 30],
    [' 20 ', 20 * 2 ** 30],
    ['0.000000001', 1],
  ])('%j is %d bytes', (text, bytes) => {
    expect(quotaBytes(text)).toBe(bytes);
  });

  it.each(['0', '0.0', '-1', 'x', '1 GB', '1e3', '1.2.3', '99999999999', '٣'])('%j is none', (text) => {
    expect(quotaBytes(text)).toBeUndefined();
  });

  it.each([0, 1, 1023, 2 ** 30, 2 ** 30 + 1, 10 * 2 ** 40])('%d bytes come back as they went', (bytes) => {
    expect(quotaBytes(quotaText(bytes))).toBe(bytes);
  });
});
