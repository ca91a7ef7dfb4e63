import { Badge, Button, Select, TextInput } from '@mantine/core';
import { IconMail } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { api, body } from '../api/client';
import type { components } from '../api/schema.gen';
import { ConfirmDialog } from '../app/ConfirmDialog';
import { faultsOf } from '../app/faults';
import { FormDialog } from '../app/FormDialog';
import { Panel } from '../app/Panel';
import { Rows, RowText } from '../app/Rows';
import { SecretDialog } from '../app/SecretDialog';
import { useChange } from '../app/useChange';
import { usePageTitle } from '../app/usePageTitle';
import { useFormat } from '../i18n/format';
import { adminKeys } from './keys';
import { RoleSelect } from './RoleSelect';
import { fullLink, type UserRole } from './users';

type Invite = components['schemas']['Invite'];
type NewInvite = components['schemas']['NewInvite'];

/** Invitations that are still good. */
export function InvitesPage() {
  const { t } = useTranslation();
  const format = useFormat();
  const [asking, setAsking] = useState<'create' | { created: NewInvite } | { withdraw: Invite }>();
  const close = () => setAsking(undefined);
  usePageTitle(t('admin.invites'));
  const invites = useQuery({
    queryKey: adminKeys.invites,
    queryFn: async () => body(await api.GET('/api/v1/admin/invites')),
  });
  const withdraw = useChange({
    run: ({ id }: Invite) => api.DELETE('/api/v1/admin/invites/{id}', { params: { path: { id } } }),
    reads: [adminKeys.invites],
    done: () => t('invites.withdrawn'),
    failed: t('problems.whileRemoving'),
  });
  const nameOf = (invite: Invite) => invite.note ?? t('invites.noNote');
  return (
    <Panel
      title={t('admin.invites')}
      text={t('invites.text')}
      actions={<Button onClick={() => setAsking('create')}>{t('invites.create')}</Button>}
    >
      <Rows
        label={t('admin.invites')}
        query={invites}
        items={invites.data?.items ?? []}
        empty={t('invites.empty')}
        keyOf={({ id }) => id}
        row={(invite) => (
          <RowText
            icon={<IconMail size={20} stroke={1.7} />}
            title={nameOf(invite)}
            badges={
              invite.role === 'admin' && (
                <Badge variant="light" tt="none">
                  {t('users.roleAdmin')}
                </Badge>
              )
            }
            lines={[
              t('common.createdAt', { time: format.momentAndTime(invite.createdAt) }),
              t('common.expiresAt', { time: format.momentAndTime(invite.expiresAt) }),
            ]}
            actions={
              <Button
                variant="subtle"
                color="red"
                size="compact-sm"
                aria-label={t('invites.withdrawNamed', { name: nameOf(invite) })}
                onClick={() => setAsking({ withdraw: invite })}
              >
                {t('invites.withdraw')}
              </Button>
            }
          />
        )}
      />
      {asking === 'create' && <InviteDialog onCreated={(created) => setAsking({ created })} onClose={close} />}
      {typeof asking === 'object' && 'created' in asking && (
        <SecretDialog
          title={nameOf(asking.created.invite)}
          text={t('invites.linkText', { time: format.momentAndTime(asking.created.invite.expiresAt) })}
          label={t('users.link')}
          value={fullLink(asking.created.link)}
          onClose={close}
        />
      )}
      {typeof asking === 'object' && 'withdraw' in asking && (
        <ConfirmDialog
          title={t('invites.withdrawTitle', { name: nameOf(asking.withdraw) })}
          text={t('invites.withdrawText')}
          submit={t('invites.withdraw')}
          pending={withdraw.isPending}
          onSubmit={() => withdraw.mutate(asking.withdraw, { onSettled: close })}
          onClose={close}
        />
      )}
    </Panel>
  );
}

function InviteDialog({ onCreated, onClose }: { onCreated: (invite: NewInvite) => void; onClose: () => void }) {
  const { t } = useTranslation();
  const [note, setNote] = useState('');
  const [role, setRole] = useState<UserRole>('user');
  const [days, setDays] = useState('7');
  const create = useChange({
    run: async () =>
      body(
        await api.POST('/api/v1/admin/invites', {
          body: { role, expiresIn: Number(days), ...(note.trim() && { note: note.trim() }) },
        }),
      ),
    reads: [adminKeys.invites],
  });
  const { at, rest } = faultsOf(create.error, ['note']);
  return (
    <FormDialog
      title={t('invites.create')}
      submit={t('keys.submit')}
      pending={create.isPending}
      problem={rest}
      onSubmit={() => create.mutate(undefined, { onSuccess: onCreated })}
      onClose={onClose}
    >
      <TextInput
        label={t('invites.note')}
        description={t('invites.noteHint')}
        value={note}
        onChange={(event) => setNote(event.currentTarget.value)}
        error={at.note}
        maxLength={64}
        autoComplete="off"
        data-autofocus
      />
      <RoleSelect value={role} onChange={setRole} />
      <Select
        label={t('invites.expires')}
        value={days}
        onChange={(value) => setDays(value ?? '7')}
        allowDeselect={false}
        data={[1, 7, 30, 90].map((count) => ({ value: String(count), label: t('common.days', { count }) }))}
      />
    </FormDialog>
  );
}
