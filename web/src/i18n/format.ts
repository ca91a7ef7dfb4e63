import { useTranslation } from 'react-i18next';

const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const;

/** Bytes in binary units with three significant digits: "1.46 MiB". */
export function formatSize(bytes: number, language: string): string {
  let value = Math.max(0, bytes);
  let unit = 0;
  // 1023.5 would round to 1,024, which is one of the next unit.
  while (value >= 1023.5 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  const digits = unit === 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  const number = new Intl.NumberFormat(language, { maximumFractionDigits: digits }).format(value);
  return `${number} ${units[unit] ?? 'B'}`;
}

/** Bytes a second: "12.3 MiB/s". */
export function formatRate(bytesPerSecond: number, language: string): string {
  return `${formatSize(bytesPerSecond, language)}/s`;
}

/** A time left, coarse enough to read at a glance: "45 sec", "3 min", "2 hr 5 min". */
export function formatDuration(seconds: number, language: string): string {
  const part = (value: number, unit: 'second' | 'minute' | 'hour') =>
    new Intl.NumberFormat(language, { style: 'unit', unit, unitDisplay: 'short' }).format(value);
  const whole = Math.max(1, Math.ceil(seconds));
  if (whole < 60) return part(whole, 'second');
  const minutes = Math.round(whole / 60);
  if (minutes < 60) return part(minutes, 'minute');
  const rest = minutes % 60;
  const hours = part(Math.floor(minutes / 60), 'hour');
  return rest === 0 ? hours : `${hours} ${part(rest, 'minute')}`;
}

/** A moment as a list shows it: the time of day for today, else the date. */
export function formatMoment(iso: string, language: string, now: Date = new Date()): string {
  const date = new Date(iso);
  if (Number.isNaN(date.getTime())) return '';
  if (date.toDateString() === now.toDateString()) {
    return new Intl.DateTimeFormat(language, { hour: 'numeric', minute: '2-digit' }).format(date);
  }
  return new Intl.DateTimeFormat(language, { year: 'numeric', month: 'short', day: 'numeric' }).format(date);
}

/** A day and a time of day, for what happened at a moment: "Nov 24, 2026, 9:05 AM". */
export function formatMomentAndTime(iso: string, language: string): string {
  const date = new Date(iso);
  if (Number.isNaN(date.getTime())) return '';
  return new Intl.DateTimeFormat(language, { dateStyle: 'medium', timeStyle: 'short' }).format(date);
}

/** A moment in full, for tooltips. */
export function formatMomentFully(iso: string, language: string): string {
  const date = new Date(iso);
  if (Number.isNaN(date.getTime())) return '';
  return new Intl.DateTimeFormat(language, { dateStyle: 'full', timeStyle: 'medium' }).format(date);
}

/** The formats bound to the language on screen. */
export function useFormat() {
  const { i18n } = useTranslation();
  const language = i18n.language;
  return {
    size: (bytes: number) => formatSize(bytes, language),
    rate: (bytesPerSecond: number) => formatRate(bytesPerSecond, language),
    duration: (seconds: number) => formatDuration(seconds, language),
    moment: (iso: string) => formatMoment(iso, language),
    momentAndTime: (iso: string) => formatMomentAndTime(iso, language),
    momentFully: (iso: string) => formatMomentFully(iso, language),
  };
}
