import { Paper, Stack, Text, Title } from '@mantine/core';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { LanguageMenu } from '../app/LanguageMenu';
import { Logo } from '../app/Logo';
import { ThemeMenu } from '../app/ThemeMenu';
import classes from './SignInFrame.module.css';

interface SignInFrameProps {
  /** Absent: the drive's own name. */
  title?: string;
  text?: string;
  children: ReactNode;
}

/** The frame around every page for somebody who is not signed in. */
export function SignInFrame({ title, text, children }: SignInFrameProps) {
  const { t } = useTranslation();
  return (
    <div className={classes.page}>
      <main className={classes.main}>
        <Paper className={classes.card} radius="lg">
          <Stack gap="xs" align="center" mb="lg" ta="center">
            <Logo size={56} />
            <Title order={1}>{title ?? t('app.name')}</Title>
            <Text c="dimmed">{text ?? t('signIn.tagline')}</Text>
          </Stack>
          {children}
        </Paper>
      </main>
      <footer className={classes.footer}>
        <LanguageMenu />
        <ThemeMenu />
      </footer>
    </div>
  );
}
