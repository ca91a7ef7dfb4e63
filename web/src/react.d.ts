import 'react';

declare module 'react' {
  // eslint-disable-next-line @typescript-eslint/consistent-indexed-object-style
  interface CSSProperties {
    /** Custom properties, "--name". Only an index signature merges. */
    [name: `--${string}`]: string | number | undefined;
  }

  // The parameter must be named as React names it.
  // eslint-disable-next-line @typescript-eslint/no-unused-vars
  interface InputHTMLAttributes<T> {
    /** Lets a reader pick a folder; every browser knows it, no standard does. */
    webkitdirectory?: '';
  }
}
