import {
  createTheme,
  localStorageColorSchemeManager,
  type CSSVariablesResolver,
  type MantineColorsTuple,
} from '@mantine/core';

/** Lagoon: the one accent of the page. Shade 7 on white and shade 3 on the dark ground pass WCAG AA for text. */
const lagoon: MantineColorsTuple = [
  '#e8f6f6',
  '#d2eaeb',
  '#a6d6d9',
  '#79c3c8',
  '#4fa9b0',
  '#349099',
  '#257f88',
  '#1b6f78',
  '#155c64',
  '#0d474e',
];

/** A neutral with a breath of blue, so that large dark areas do not look dead. */
const dark: MantineColorsTuple = [
  '#dfe4e8',
  '#b9c2c9',
  '#9aa5ae',
  '#66727c',
  '#3c464f',
  '#2b343c',
  '#222a31',
  '#192026',
  '#12181d',
  '#0c1115',
];

export const theme = createTheme({
  primaryColor: 'lagoon',
  black: '#17222a',
  colors: { lagoon, dark },
  primaryShade: { light: 7, dark: 7 },
  autoContrast: false,
  defaultRadius: 'md',
  cursorType: 'pointer',
  respectReducedMotion: true,
  fontFamily:
    'ui-sans-serif, system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "PingFang SC", "Hiragino Sans GB", "Microsoft YaHei", "Noto Sans CJK SC", "Noto Sans SC", sans-serif',
  fontFamilyMonospace: 'ui-monospace, SFMono-Regular, Menlo, Consolas, "Liberation Mono", monospace',
  fontSizes: { xs: '0.78rem', sm: '0.875rem', md: '0.95rem', lg: '1.1rem', xl: '1.3rem' },
  headings: {
    fontWeight: '650',
    sizes: {
      h1: { fontSize: '1.6rem', lineHeight: '1.3' },
      h2: { fontSize: '1.2rem', lineHeight: '1.35' },
      h3: { fontSize: '1.02rem', lineHeight: '1.4' },
    },
  },
  components: {
    Modal: {
      defaultProps: {
        centered: true,
        radius: 'lg',
        styles: { title: { fontWeight: 650, fontSize: '1.1rem', overflowWrap: 'anywhere' } },
        overlayProps: { backgroundOpacity: 0.45, blur: 2 },
      },
    },
    Menu: { defaultProps: { radius: 'md', shadow: 'md', withInitialFocusPlaceholder: false } },
    Tooltip: { defaultProps: { openDelay: 400, withArrow: false } },
  },
});

/** The few colours of our own; style sheets use these and never a literal. */
export const cssVariables: CSSVariablesResolver = () => ({
  variables: {},
  light: {
    '--mantine-color-dimmed': '#56626c',
    '--mantine-color-placeholder': '#66727c',
    '--mantine-color-error': '#c22f2f',
    '--gopan-ground': '#f4f6f7',
    '--gopan-surface': '#ffffff',
    '--gopan-line': '#e3e8eb',
    '--gopan-hover': '#f3f7f8',
    '--gopan-selected': '#e4f3f4',
    '--gopan-accent': '#1b6f78',
    '--gopan-shadow': '0 1px 2px rgb(16 32 40 / 5%), 0 8px 24px rgb(16 32 40 / 5%)',
  },
  dark: {
    '--mantine-color-dimmed': '#9aa5ae',
    '--mantine-color-placeholder': '#8d98a2',
    '--mantine-color-error': '#ff8f8f',
    '--mantine-color-body': '#151b20',
    '--gopan-ground': '#0f1418',
    '--gopan-surface': '#171e24',
    '--gopan-line': '#28323a',
    '--gopan-hover': '#1e272e',
    '--gopan-selected': '#173238',
    '--gopan-accent': '#79c3c8',
    '--gopan-shadow': '0 1px 2px rgb(0 0 0 / 40%), 0 8px 24px rgb(0 0 0 / 25%)',
  },
});

// public/boot.js reads the same key before the first paint.
export const colorSchemeManager = localStorageColorSchemeManager({ key: 'gopan-color-scheme' });
