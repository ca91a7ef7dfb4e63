import { Progress, Skeleton, Stack, Text } from '@mantine/core';
import { useTranslation } from 'react-i18next';
import { useFormat } from '../i18n/format';
import { useDrive } from './session';

/** How much of the drive is used. */
export function QuotaBar() {
  const { t } = useTranslation();
  const format = useFormat();
  const { data } = useDrive();
  if (!data) return <Skeleton height={44} radius="md" />;

  const used = format.size(data.used);
  const limited = data.quota > 0;
  const percent = limited ? Math.min(100, (data.used / data.quota) * 100) : 0;
  const text = limited ? t('quota.of', { used, quota: format.size(data.quota) }) : t('quota.unlimited', { used });
  return (
    <Stack gap={6}>
      <Text size="sm" fw={600}>
        {t('quota.title')}
      </Text>
      {limited && (
        <Progress.Root size="sm" radius="xl">
          <Progress.Section
            value={Math.max(percent, data.used > 0 ? 1 : 0)}
            color={percent >= 90 ? 'red' : 'lagoon'}
            aria-label={t('quota.title')}
            aria-valuetext={text}
          />
        </Progress.Root>
      )}
      <Text size="xs" c="dimmed">
        {text}
        {percent >= 90 && ` · ${t('quota.almostFull')}`}
      </Text>
    </Stack>
  );
}
