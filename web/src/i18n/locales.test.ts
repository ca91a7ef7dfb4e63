import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import en from './en.json';
import { closestLanguage } from './language';
import zhCN from './zh-CN.json';

type Texts = Map<string, string>;

function flatten(value: object, prefix = ''): Texts {
  const texts: Texts = new Map();
  for (const [key, child] of Object.entries(value) as [string, string | object][]) {
    if (typeof child === 'string') texts.set(prefix + key, child);
    else for (const [path, text] of flatten(child, `${prefix}${key}.`)) texts.set(path, text);
  }
  return texts;
}

const plural = /_(zero|one|two|few|many|other)$/;
const locales = { en: flatten(en), 'zh-CN': flatten(zhCN) };

/** The keys without their plural forms. */
function stems(texts: Texts): string[] {
  return [...new Set([...texts.keys()].map((key) => key.replace(plural, '')))].sort();
}

describe.each(Object.entries(locales))('%s', (language, texts) => {
  it('says all that the others say', () => {
    for (const other of Object.values(locales)) expect(stems(texts)).toEqual(stems(other));
  });

  it('has every plural form of its language and no other', () => {
    const forms = new Intl.PluralRules(language).resolvedOptions().pluralCategories.toSorted();
    const found = new Map<string, string[]>();
    for (const key of texts.keys()) {
      const form = plural.exec(key)?.[1];
      const stem = key.replace(plural, '');
      if (form) found.set(stem, [...(found.get(stem) ?? []), form]);
    }
    expect(found.size).toBeGreaterThan(0);
    for (const [stem, has] of found) expect([stem, has.sort()]).toEqual([stem, forms]);
  });

  it('has no empty text', () => {
    expect([...texts].filter(([, text]) => text.trim() === '')).toEqual([]);
  });

  it('puts the same values into the same texts', () => {
    const values = (text: string | undefined) =>
      [...(text ?? '').matchAll(/\{\{(\w+)/g)].map((match) => match[1]).sort();
    for (const [key, text] of texts) {
      if (key.endsWith('_one')) continue;
      expect([key, values(text)]).toEqual([key, values(locales.en.get(key))]);
    }
  });
});

it('every text that the components ask for is there, and every text is asked for', () => {
  const sources = readdirSync('src', { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.tsx?$/.test(name) && !/\.(test|gen)\.ts$/.test(name))
    .map((name) => readFileSync(join('src', name), 'utf8'))
    .join('\n');
  // Keys that are put together: a page of keys by their last part.
  const composed = [
    'problems.',
    'events.',
    'kinds.',
    'policy.',
    'name.',
    'uploads.state.',
    'app.light',
    'app.dark',
    'app.auto',
    'explorer.name',
    'explorer.size',
    'explorer.modified',
  ];
  const unused = stems(locales.en).filter(
    (key) => !sources.includes(`'${key}'`) && !composed.some((prefix) => key.startsWith(prefix)),
  );
  expect(unused).toEqual([]);
});

it('picks the closest language', () => {
  expect(closestLanguage(['fr', 'zh-TW', 'en'])).toBe('zh-CN');
  expect(closestLanguage(['en-GB'])).toBe('en');
  expect(closestLanguage(['fr'])).toBe('en');
  expect(closestLanguage([])).toBe('en');
});
