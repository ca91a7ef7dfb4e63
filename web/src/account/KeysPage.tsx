import { Badge, Button } from '@mantine/core';
import { IconKey, IconLockPassword } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { api, body } from '../api/client';
import type { components } from '../api/schema.gen';
import { ConfirmDialog } from '../app/ConfirmDialog';
import { Panel } from '../app/Panel';
import { Rows, RowText } from '../app/Rows';
import { SecretDialog } from '../app/SecretDialog';
import { useChange } from '../app/useChange';
import { usePageTitle } from '../app/usePageTitle';
import { useFormat } from '../i18n/format';
import { KeyDialog } from './KeyDialog';
import { accountKeys } from './keys';
import { useSessionUser } from './session';

type AccessKey = components['schemas']['AccessKey'];
type NewAccessKey = components['schemas']['NewAccessKey'];

/** What lets programs in: app passwords for file protocols, and access tokens. */
export function KeysPage() {
  const { t } = useTranslation();
  const { login } = useSessionUser();
  const [asking, setAsking] = useState<'create' | { created: NewAccessKey } | { revoke: AccessKey }>();
  const close = () => setAsking(undefined);
  usePageTitle(t('account.keys'));
  const keys = useQuery({
    queryKey: accountKeys.accessKeys,
    queryFn: async () => body(await api.GET('/api/v1/me/keys')),
  });
  const revoke = useChange({
    run: ({ id }: AccessKey) => api.DELETE('/api/v1/me/keys/{id}', { params: { path: { id } } }),
    reads: [accountKeys.accessKeys],
    done: (_, { name }) => t('keys.revoked', { name }),
    failed: t('problems.whileRemoving'),
  });
  return (
    <Panel
      title={t('account.keys')}
      text={t('keys.text')}
      actions={
        <Button variant="default" onClick={() => setAsking('create')}>
          {t('keys.create')}
        </Button>
      }
    >
      <Rows
        label={t('account.keys')}
        query={keys}
        items={keys.data?.items ?? []}
        empty={t('keys.empty')}
        keyOf={({ id }) => id}
        row={(key) => <KeyRow item={key} onRevoke={() => setAsking({ revoke: key })} />}
      />
      {asking === 'create' && <KeyDialog onCreated={(created) => setAsking({ created })} onClose={close} />}
      {typeof asking === 'object' && 'created' in asking && (
        <SecretDialog
          title={asking.created.key.name}
          text={asking.created.key.kind === 'app' ? t('keys.appSecretText', { login }) : t('keys.tokenSecretText')}
          label={t(asking.created.key.kind === 'app' ? 'keys.app' : 'keys.token')}
          value={asking.created.secret}
          onClose={close}
        />
      )}
      {typeof asking === 'object' && 'revoke' in asking && (
        <ConfirmDialog
          title={t('keys.revokeTitle', { name: asking.revoke.name })}
          text={t('keys.revokeText')}
          submit={t('keys.revoke')}
          pending={revoke.isPending}
          onSubmit={() => revoke.mutate(asking.revoke, { onSettled: close })}
          onClose={close}
        />
      )}
    </Panel>
  );
}

function KeyRow({ item, onRevoke }: { item: AccessKey; onRevoke: () => void }) {
  const { t } = useTranslation();
  const format = useFormat();
  const { kind, name, readOnly, folderId, createdAt, expiresAt, usedAt } = item;
  const folder = useFolderPath(folderId);
  const Icon = kind === 'app' ? IconLockPassword : IconKey;
  return (
    <RowText
      icon={<Icon size={20} stroke={1.7} />}
      title={name}
      badges={
        <>
          <Badge variant="light" tt="none">
            {t(kind === 'app' ? 'keys.app' : 'keys.token')}
          </Badge>
          {readOnly && (
            <Badge variant="light" color="gray" tt="none">
              {t('keys.readOnly')}
            </Badge>
          )}
        </>
      }
      lines={[
        folderId && t('keys.onlyFolder', { folder }),
        usedAt ? t('common.usedAt', { time: format.momentAndTime(usedAt) }) : t('common.neverUsed'),
        [
          t('common.createdAt', { time: format.moment(createdAt) }),
          expiresAt && t('common.expiresAt', { time: format.moment(expiresAt) }),
        ]
          .filter(Boolean)
          .join(' · '),
      ]}
      actions={
        <Button
          variant="subtle"
          color="red"
          size="compact-sm"
          aria-label={t('keys.revokeNamed', { name })}
          onClick={onRevoke}
        >
          {t('keys.revoke')}
        </Button>
      }
    />
  );
}

/** Where a folder is now; the id where that cannot be told. */
function useFolderPath(id: string | undefined): string {
  const { data } = useQuery({
    queryKey: [...accountKeys.accessKeys, 'folder', id],
    queryFn: async () => body(await api.GET('/api/v1/files/{id}', { params: { path: { id: id ?? '' } } })),
    enabled: id !== undefined,
    retry: false,
  });
  return data?.path ?? id ?? '';
}
