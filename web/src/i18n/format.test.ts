import { describe, expect, it } from 'vitest';
import { formatDuration, formatMoment, formatMomentAndTime, formatRate, formatSize } from './format';

describe('sizes', () => {
  it.each([
    [0, '0 B'],
    [1023, '1,023 B'],
    [1024, '1 KiB'],
    [1536, '1.5 KiB'],
    [10_240, '10 KiB'],
    [123_456, '121 KiB'],
    [1024 * 1024 - 1, '1 MiB'],
    [1_530_000, '1.46 MiB'],
    [5 * 1024 ** 3, '5 GiB'],
    [2.5 * 1024 ** 4, '2.5 TiB'],
    [-5, '0 B'],
  ])('%d bytes are %s', (bytes, text) => {
    expect(formatSize(bytes, 'en')).toBe(text);
  });

  it('are written as the language writes numbers', () => {
    expect(formatSize(1.5 * 1024, 'de')).toBe('1,5 KiB');
    expect(formatSize(1.5 * 1024, 'zh-CN')).toBe('1.5 KiB');
  });
});

it('rates are sizes a second', () => {
  expect(formatRate(12.34 * 1024 * 1024, 'en')).toBe('12.3 MiB/s');
});

describe('times left', () => {
  it.each([
    [0.2, '1 sec'],
    [45, '45 sec'],
    [59.5, '1 min'],
    [150, '3 min'],
    [3599, '1 hr'],
    [7500, '2 hr 5 min'],
  ])('%d s are %s', (seconds, text) => {
    expect(formatDuration(seconds, 'en')).toBe(text);
  });

  it('are in the language', () => {
    expect(formatDuration(45, 'zh-CN')).toContain('秒');
  });
});

describe('moments', () => {
  const now = new Date(2026, 10, 24, 18, 0);
  it('of today show the time of day, others the date', () => {
    expect(formatMoment(new Date(2026, 10, 24, 9, 5).toISOString(), 'en-GB', now)).toBe('9:05');
    expect(formatMoment(new Date(2026, 10, 23, 9, 5).toISOString(), 'en', now)).toBe('Nov 23, 2026');
    expect(formatMoment(new Date(2026, 10, 23, 9, 5).toISOString(), 'zh-CN', now)).toBe('2026年11月23日');
  });

  it('in a log show the day and the time', () => {
    const at = new Date(2026, 10, 24, 9, 5).toISOString();
    expect(formatMomentAndTime(at, 'en').replaceAll('\u202f', ' ')).toBe('Nov 24, 2026, 9:05 AM');
    expect(formatMomentAndTime(at, 'zh-CN')).toBe('2026年11月24日 09:05');
  });

  it('that are none show nothing', () => {
    expect(formatMoment('', 'en', now)).toBe('');
    expect(formatMomentAndTime('', 'en')).toBe('');
  });
});
