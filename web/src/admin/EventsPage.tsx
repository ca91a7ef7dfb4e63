import { Button, Select, TextInput } from '@mantine/core';
import { IconDownload } from '@tabler/icons-react';
import { useInfiniteQuery } from '@tanstack/react-query';
import { useTranslation } from 'react-i18next';
import { useSearchParams } from 'react-router';
import { EventRows } from '../account/EventRows';
import { eventKinds } from '../account/events';
import { api, body } from '../api/client';
import { download } from '../api/links';
import { Panel } from '../app/Panel';
import { usePageTitle } from '../app/usePageTitle';
import { eventQuery, exportLink, filterOf, type EventFilter } from './eventFilter';
import classes from './Filters.module.css';
import { adminKeys } from './keys';
import { UserPicker } from './UserPicker';

/** The audit log. What is wanted of it stands in the page's address. */
export function EventsPage() {
  const { t } = useTranslation();
  const [search, setSearch] = useSearchParams();
  const filter = filterOf(search);
  usePageTitle(t('admin.events'));
  const events = useInfiniteQuery({
    queryKey: [...adminKeys.events, filter],
    queryFn: async ({ pageParam, signal }) =>
      body(
        await api.GET('/api/v1/admin/events', {
          params: { query: { limit: 100, ...eventQuery(filter), ...(pageParam && { cursor: pageParam }) } },
          signal,
        }),
      ),
    initialPageParam: '',
    getNextPageParam: (page) => page.nextCursor,
  });
  const set = (key: keyof EventFilter, value: string | null | undefined) =>
    setSearch(
      (before) => {
        const next = new URLSearchParams(before);
        if (value) next.set(key, value);
        else next.delete(key);
        return next;
      },
      { replace: true },
    );
  return (
    <Panel
      title={t('admin.events')}
      text={t('admin.eventsText')}
      actions={
        <Button
          variant="default"
          leftSection={<IconDownload size={18} aria-hidden />}
          onClick={() => download([exportLink(filter)])}
        >
          {t('admin.exportEvents')}
        </Button>
      }
    >
      <div className={classes.filters}>
        <Select
          label={t('admin.kind')}
          placeholder={t('users.all')}
          clearable
          value={filter.kind || null}
          onChange={(value) => set('kind', value)}
          data={eventKinds.map((kind) => ({ value: kind, label: t(`kinds.${kind}`) }))}
        />
        <UserPicker
          label={t('admin.account')}
          value={filter.userId || undefined}
          onChange={(id) => set('userId', id)}
        />
        <TextInput
          label={t('admin.since')}
          type="date"
          value={filter.since}
          onChange={(event) => set('since', event.currentTarget.value)}
        />
        <TextInput
          label={t('admin.until')}
          type="date"
          value={filter.until}
          onChange={(event) => set('until', event.currentTarget.value)}
        />
      </div>
      <EventRows query={events} actors />
    </Panel>
  );
}
