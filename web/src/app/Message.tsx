import { Stack, Text, Title } from '@mantine/core';
import type { ReactNode } from 'react';
import classes from './Message.module.css';

interface MessageProps {
  icon: ReactNode;
  title: string;
  text?: string | undefined;
  /** What the reader can do about it. */
  children?: ReactNode;
}

/** A page's or a list's centre when there is nothing else to show: empty, missing, broken. */
export function Message({ icon, title, text, children }: MessageProps) {
  return (
    <Stack align="center" justify="center" gap="xs" className={classes.root} ta="center">
      <div className={classes.icon} aria-hidden>
        {icon}
      </div>
      <Title order={2}>{title}</Title>
      {text && (
        <Text c="dimmed" maw={420}>
          {text}
        </Text>
      )}
      {children && <div className={classes.actions}>{children}</div>}
    </Stack>
  );
}
