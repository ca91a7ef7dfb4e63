export const languages = { en: 'English', 'zh-CN': '简体中文' } as const;

export type Language = keyof typeof languages;

// public/boot.js reads the same key before the first paint.
const storageKey = 'gopan-language';

/** The closest language we have to a list of BCP 47 tags, best first. */
export function closestLanguage(tags: readonly string[]): Language {
  for (const tag of tags) {
    const primary = tag.toLowerCase().split('-')[0];
    if (primary === 'zh') return 'zh-CN';
    if (primary === 'en') return 'en';
  }
  return 'en';
}

/** The language that the reader chose, else the browser's. */
export function initialLanguage(): Language {
  const chosen = readChoice();
  return closestLanguage(chosen ? [chosen] : navigator.languages);
}

function readChoice(): string | null {
  try {
    return localStorage.getItem(storageKey);
  } catch {
    // Storage can be forbidden; then the choice lives as long as the page.
    return null;
  }
}

export function rememberLanguage(language: Language): void {
  try {
    localStorage.setItem(storageKey, language);
  } catch {
    // As above.
  }
}
