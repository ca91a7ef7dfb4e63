import { Button } from '@mantine/core';
import { IconBug, IconMapOff } from '@tabler/icons-react';
import { useTranslation } from 'react-i18next';
import { Link } from 'react-router';
import { Message } from './Message';
import { usePageTitle } from './usePageTitle';

export function NotFoundPage() {
  const { t } = useTranslation();
  usePageTitle(t('app.notFoundTitle'));
  return (
    <Message icon={<IconMapOff size={44} />} title={t('app.notFoundTitle')} text={t('app.notFoundText')}>
      <Button component={Link} to="/files">
        {t('app.goHome')}
      </Button>
    </Message>
  );
}

/** For an error of ours that nothing else caught. */
export function CrashPage() {
  const { t } = useTranslation();
  return (
    <Message icon={<IconBug size={44} />} title={t('app.crashTitle')} text={t('app.crashText')}>
      <Button onClick={() => window.location.reload()}>{t('app.reload')}</Button>
    </Message>
  );
}
