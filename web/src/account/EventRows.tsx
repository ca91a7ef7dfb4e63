import { IconAlertTriangle, IconHistory } from '@tabler/icons-react';
import { useTranslation } from 'react-i18next';
import type { AccountEvent } from '../api/client';
import { Rows, RowText } from '../app/Rows';
import { useFormat } from '../i18n/format';
import { actionText } from './events';

interface EventRowsProps {
  query: Parameters<typeof Rows>[0]['query'] & { data: { pages: { items: AccountEvent[] }[] } | undefined };
  /** Whether to say who did it; of one's own account mostly oneself. */
  actors: boolean;
}

const refused = new Set(['signin.fail', 'signin.locked', 'password.wrong']);

/** Lines of the audit log, the latest first. */
export function EventRows({ query, actors }: EventRowsProps) {
  const { t } = useTranslation();
  const format = useFormat();
  const items = query.data?.pages.flatMap((page) => page.items) ?? [];
  return (
    <Rows
      label={t('events.title')}
      query={query}
      items={items}
      empty={t('events.empty')}
      keyOf={(event) => event.id}
      row={({ action, at, actorLogin, userLogin, object, address, detail }) => (
        <RowText
          icon={
            refused.has(action) ? <IconAlertTriangle size={20} stroke={1.7} /> : <IconHistory size={20} stroke={1.7} />
          }
          title={actionText(action)}
          lines={[
            join(actors && actorLogin, actors && (userLogin ? userLogin !== actorLogin && userLogin : object), detail),
            <span key="at" title={format.momentFully(at)}>
              {join(format.momentAndTime(at), address)}
            </span>,
          ]}
        />
      )}
    />
  );
}

function join(...parts: (string | false | undefined)[]): string {
  return parts.filter(Boolean).join(' · ');
}
