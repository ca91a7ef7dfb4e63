// In this order: every later one claims to be an earlier one too.
const browsers: [RegExp, string][] = [
  [/\bEdgA?\//, 'Edge'],
  [/\bOPR\//, 'Opera'],
  [/\bMicroMessenger\//, 'WeChat'],
  [/\bFirefox\/|\bFxiOS\//, 'Firefox'],
  [/\bChrome\/|\bCriOS\/|\bHeadlessChrome\//, 'Chrome'],
  [/\bSafari\//, 'Safari'],
];

const systems: [RegExp, string][] = [
  [/\biPhone\b/, 'iPhone'],
  [/\biPad\b/, 'iPad'],
  [/\bAndroid\b/, 'Android'],
  [/\bWindows\b/, 'Windows'],
  [/\bMacintosh\b|\bMac OS X\b/, 'macOS'],
  [/\bCrOS\b/, 'ChromeOS'],
  [/\bLinux\b/, 'Linux'],
];

/** A device by what its browser or program calls itself: "Firefox · Linux", "gopan/1.0"; "" for nothing known. */
export function deviceName(agent: string): string {
  const find = (list: [RegExp, string][]) => list.find(([pattern]) => pattern.test(agent))?.[1];
  const known = [find(browsers), find(systems)].filter(Boolean).join(' · ');
  // A program that is no browser has its own name first.
  return known || (agent.split(/[\s(]/)[0] ?? '').slice(0, 64);
}

/** Whether it is one that is held in a hand. */
export function isPhone(agent: string): boolean {
  return /\b(iPhone|iPad|Android)\b/.test(agent);
}
