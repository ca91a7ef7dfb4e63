import { Center, Loader } from '@mantine/core';
import { useTranslation } from 'react-i18next';

/** Fills the window until there is something to show. */
export function PageLoader() {
  const { t } = useTranslation();
  return (
    <Center h="100dvh">
      <Loader aria-label={t('common.loading')} />
    </Center>
  );
}
