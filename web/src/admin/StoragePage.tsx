import { ActionIcon, Progress } from '@mantine/core';
import { IconDatabase, IconPencil } from '@tabler/icons-react';
import { useInfiniteQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { api, body } from '../api/client';
import { Panel } from '../app/Panel';
import { Rows, RowText } from '../app/Rows';
import { usePageTitle } from '../app/usePageTitle';
import { useFormat } from '../i18n/format';
import { adminKeys } from './keys';
import { QuotaDialog, type DriveUse } from './QuotaDialog';

/** How much every account has stored, the most first. */
export function StoragePage() {
  const { t } = useTranslation();
  const format = useFormat();
  const [asking, setAsking] = useState<DriveUse>();
  usePageTitle(t('admin.storage'));
  const storage = useInfiniteQuery({
    queryKey: adminKeys.storage,
    queryFn: async ({ pageParam, signal }) =>
      body(
        await api.GET('/api/v1/admin/storage', {
          params: { query: { limit: 50, ...(pageParam && { cursor: pageParam }) } },
          signal,
        }),
      ),
    initialPageParam: '',
    getNextPageParam: (page) => page.nextCursor,
  });
  const total = storage.data?.pages[0]?.total;
  return (
    <Panel
      title={t('admin.storage')}
      text={
        total &&
        `${t('quota.unlimited', { used: format.size(total.used) })} · ${t('storage.files', { count: total.files })}`
      }
    >
      <Rows
        label={t('admin.storage')}
        query={storage}
        items={storage.data?.pages.flatMap((page) => page.items) ?? []}
        empty={t('storage.empty')}
        keyOf={({ userId }) => userId}
        row={(use) => <UseRow use={use} onAsk={() => setAsking(use)} />}
      />
      {asking && <QuotaDialog user={{ id: asking.userId, login: asking.login }} onClose={() => setAsking(undefined)} />}
    </Panel>
  );
}

function UseRow({ use, onAsk }: { use: DriveUse; onAsk: () => void }) {
  const { t } = useTranslation();
  const format = useFormat();
  const used = format.size(use.used);
  const limited = use.quota > 0;
  const percent = limited ? Math.min(100, (use.used / use.quota) * 100) : 0;
  const text = limited ? t('quota.of', { used, quota: format.size(use.quota) }) : t('quota.unlimited', { used });
  return (
    <RowText
      icon={<IconDatabase size={20} stroke={1.7} />}
      title={use.login}
      lines={[
        `${text} · ${t('storage.files', { count: use.files })}`,
        limited && (
          <Progress value={percent} size="xs" mt={4} color={percent >= 90 ? 'red' : 'lagoon'} aria-hidden key="bar" />
        ),
      ]}
      actions={
        <ActionIcon variant="subtle" size={36} aria-label={t('storage.quotaOf', { name: use.login })} onClick={onAsk}>
          <IconPencil size={18} stroke={1.7} />
        </ActionIcon>
      }
    />
  );
}
