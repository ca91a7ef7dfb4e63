import { Button, TextInput } from '@mantine/core';
import { IconCheck, IconCopy } from '@tabler/icons-react';
import { useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';
import classes from './Secret.module.css';

/** A text that is shown this once, and how to take it along. */
export function Secret({ label, value }: { label: string; value: string }) {
  const field = useRef<HTMLInputElement>(null);
  return (
    <div className={classes.root}>
      <TextInput
        ref={field}
        label={label}
        value={value}
        readOnly
        onFocus={(event) => event.currentTarget.select()}
        classNames={{ input: classes.value ?? '' }}
      />
      <CopyButton value={value} />
    </div>
  );
}

export function CopyButton({ value }: { value: string }) {
  const { t } = useTranslation();
  const [copied, setCopied] = useState(false);
  const Icon = copied ? IconCheck : IconCopy;
  return (
    <Button
      variant="light"
      leftSection={<Icon size={18} aria-hidden />}
      onClick={() => void copy(value).then(setCopied)}
      onBlur={() => setCopied(false)}
    >
      <span aria-live="polite">{t(copied ? 'common.copied' : 'common.copy')}</span>
    </Button>
  );
}

/** Puts a text on the clipboard; false: the browser would not. */
async function copy(text: string): Promise<boolean> {
  if ('clipboard' in navigator) {
    return navigator.clipboard.writeText(text).then(
      () => true,
      () => false,
    );
  }
  // On plain http from another machine there is no clipboard, and this is the way that every browser still has. The
  // text stands in the dialog that has the focus: outside of it, it could not be selected.
  const area = document.createElement('textarea');
  area.value = text;
  (document.activeElement?.parentElement ?? document.body).append(area);
  area.select();
  // eslint-disable-next-line @typescript-eslint/no-deprecated
  const done = document.execCommand('copy');
  area.remove();
  return done;
}
