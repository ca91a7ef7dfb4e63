import { Text, Title } from '@mantine/core';
import { useId, type ReactNode } from 'react';
import classes from './Panel.module.css';

interface PanelProps {
  title: string;
  text?: string | undefined;
  /** What can be done with all of it. */
  actions?: ReactNode;
  children?: ReactNode;
}

/** One matter of a page of settings. */
export function Panel({ title, text, actions, children }: PanelProps) {
  const id = useId();
  return (
    <section aria-labelledby={id} className={classes.root}>
      <div className={classes.head}>
        <div className={classes.words}>
          <Title order={2} id={id} className={classes.title}>
            {title}
          </Title>
          {text && (
            <Text size="sm" c="dimmed">
              {text}
            </Text>
          )}
        </div>
        {actions && <div className={classes.actions}>{actions}</div>}
      </div>
      {children}
    </section>
  );
}
