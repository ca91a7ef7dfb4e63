import { ActionIcon, Badge, Button } from '@mantine/core';
import { IconDeviceDesktop, IconDeviceMobile, IconLogout, IconPencil, IconTerminal2 } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { api, body } from '../api/client';
import type { components } from '../api/schema.gen';
import { ConfirmDialog } from '../app/ConfirmDialog';
import { LabelDialog } from '../app/LabelDialog';
import { Panel } from '../app/Panel';
import { Rows, RowText } from '../app/Rows';
import { useChange } from '../app/useChange';
import { usePageTitle } from '../app/usePageTitle';
import { useFormat } from '../i18n/format';
import { deviceName, isPhone } from './agent';
import { accountKeys } from './keys';

type Session = components['schemas']['Session'];

/** Where the account is signed in, and how to end that. */
export function SessionsPage() {
  const { t } = useTranslation();
  const format = useFormat();
  const [asking, setAsking] = useState<{ rename: Session } | { end: Session } | 'endOthers'>();
  const close = () => setAsking(undefined);
  usePageTitle(t('account.sessions'));
  const sessions = useQuery({
    queryKey: accountKeys.sessions,
    queryFn: async () => body(await api.GET('/api/v1/me/sessions')),
  });
  const reads = [accountKeys.sessions];
  const rename = useChange({
    run: ({ id, name }: { id: string; name: string }) =>
      api.PATCH('/api/v1/me/sessions/{id}', { params: { path: { id } }, body: { name } }),
    reads,
  });
  const end = useChange({
    run: ({ id }: Session) => api.DELETE('/api/v1/me/sessions/{id}', { params: { path: { id } } }),
    reads,
    done: () => t('sessions.ended'),
    failed: t('problems.whileEnding'),
  });
  const endOthers = useChange({
    run: () => api.DELETE('/api/v1/me/sessions'),
    reads,
    done: () => t('sessions.othersEnded'),
    failed: t('problems.whileEnding'),
  });
  const items = sessions.data?.items ?? [];
  const nameOf = (session: Session) => session.name ?? (deviceName(session.agent ?? '') || t('sessions.unknown'));
  return (
    <Panel
      title={t('sessions.title')}
      text={t('sessions.text')}
      actions={
        items.some((session) => !session.current) && (
          <Button variant="light" color="red" onClick={() => setAsking('endOthers')}>
            {t('sessions.endOthers')}
          </Button>
        )
      }
    >
      <Rows
        label={t('sessions.title')}
        query={sessions}
        items={items}
        empty={t('sessions.empty')}
        keyOf={({ id }) => id}
        row={(session) => (
          <RowText
            icon={<DeviceIcon session={session} />}
            title={nameOf(session)}
            badges={session.current && <Badge variant="light">{t('sessions.current')}</Badge>}
            lines={[
              [session.name && deviceName(session.agent ?? ''), session.address].filter(Boolean).join(' · '),
              <span key="seen" title={format.momentFully(session.seenAt)}>
                {t('sessions.seen', { time: format.momentAndTime(session.seenAt) })}
              </span>,
              t('sessions.since', { time: format.moment(session.createdAt) }),
            ]}
            actions={
              <>
                <ActionIcon
                  variant="subtle"
                  size={36}
                  aria-label={t('common.renameNamed', { name: nameOf(session) })}
                  onClick={() => {
                    rename.reset();
                    setAsking({ rename: session });
                  }}
                >
                  <IconPencil size={18} stroke={1.7} />
                </ActionIcon>
                {!session.current && (
                  <ActionIcon
                    variant="subtle"
                    color="red"
                    size={36}
                    aria-label={t('sessions.endNamed', { name: nameOf(session) })}
                    onClick={() => setAsking({ end: session })}
                  >
                    <IconLogout size={18} stroke={1.7} />
                  </ActionIcon>
                )}
              </>
            }
          />
        )}
      />
      {asking === 'endOthers' && (
        <ConfirmDialog
          title={t('sessions.endOthersTitle')}
          text={t('sessions.endOthersText')}
          submit={t('sessions.endOthers')}
          pending={endOthers.isPending}
          onSubmit={() => endOthers.mutate(undefined, { onSettled: close })}
          onClose={close}
        />
      )}
      {typeof asking === 'object' && 'end' in asking && (
        <ConfirmDialog
          title={t('sessions.endTitle', { name: nameOf(asking.end) })}
          text={t('sessions.endText')}
          submit={t('sessions.end')}
          pending={end.isPending}
          onSubmit={() => end.mutate(asking.end, { onSettled: close })}
          onClose={close}
        />
      )}
      {typeof asking === 'object' && 'rename' in asking && (
        <LabelDialog
          title={t('sessions.rename')}
          submit={t('common.save')}
          initial={nameOf(asking.rename)}
          error={rename.error}
          pending={rename.isPending}
          onSubmit={(name) => rename.mutate({ id: asking.rename.id, name }, { onSuccess: close })}
          onClose={close}
        />
      )}
    </Panel>
  );
}

function DeviceIcon({ session }: { session: Session }) {
  const Icon =
    session.kind === 'program' ? IconTerminal2 : isPhone(session.agent ?? '') ? IconDeviceMobile : IconDeviceDesktop;
  return <Icon size={20} stroke={1.7} />;
}
