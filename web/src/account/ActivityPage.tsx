import { useInfiniteQuery } from '@tanstack/react-query';
import { useTranslation } from 'react-i18next';
import { api, body } from '../api/client';
import { Panel } from '../app/Panel';
import { usePageTitle } from '../app/usePageTitle';
import { EventRows } from './EventRows';
import { accountKeys } from './keys';

/** What happened with the account, for its owner to notice what was not them. */
export function ActivityPage() {
  const { t } = useTranslation();
  usePageTitle(t('account.activity'));
  const events = useInfiniteQuery({
    queryKey: accountKeys.events,
    queryFn: async ({ pageParam, signal }) =>
      body(
        await api.GET('/api/v1/me/events', {
          params: { query: { limit: 50, ...(pageParam && { cursor: pageParam }) } },
          signal,
        }),
      ),
    initialPageParam: '',
    getNextPageParam: (page) => page.nextCursor,
  });
  return (
    <Panel title={t('account.activity')} text={t('account.activityText')}>
      <EventRows query={events} actors={false} />
    </Panel>
  );
}
