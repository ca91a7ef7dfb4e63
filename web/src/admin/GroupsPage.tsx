import { ActionIcon, Button } from '@mantine/core';
import { IconPencil, IconTrash, IconUsers, IconUsersGroup } from '@tabler/icons-react';
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
import { adminKeys } from './keys';
import { MembersDialog } from './MembersDialog';

export type UserGroup = components['schemas']['Group'];

/** Groups of accounts. */
export function GroupsPage() {
  const { t } = useTranslation();
  const [asking, setAsking] = useState<'create' | { what: 'rename' | 'members' | 'delete'; id: string }>();
  const close = () => setAsking(undefined);
  usePageTitle(t('admin.groups'));
  const groups = useQuery({
    queryKey: adminKeys.groups,
    queryFn: async () => body(await api.GET('/api/v1/admin/groups')),
  });
  const reads = [adminKeys.groups, adminKeys.users];
  const create = useChange({ run: (name: string) => api.POST('/api/v1/admin/groups', { body: { name } }), reads });
  const rename = useChange({
    run: ({ id, name }: { id: string; name: string }) =>
      api.PATCH('/api/v1/admin/groups/{id}', { params: { path: { id } }, body: { name } }),
    reads,
  });
  const remove = useChange({
    run: ({ id }: UserGroup) => api.DELETE('/api/v1/admin/groups/{id}', { params: { path: { id } } }),
    reads,
    done: (_, { name }) => t('groups.deleted', { name }),
    failed: t('problems.whileRemoving'),
  });
  const items = groups.data?.items ?? [];
  // As it is now, and not as it was when it was asked for: members come and go below the dialog.
  const group = typeof asking === 'object' ? items.find(({ id }) => id === asking.id) : undefined;
  const what = typeof asking === 'object' ? asking.what : undefined;
  const ask = (next: typeof asking) => {
    create.reset();
    rename.reset();
    setAsking(next);
  };
  return (
    <Panel
      title={t('admin.groups')}
      text={t('groups.text')}
      actions={<Button onClick={() => ask('create')}>{t('groups.create')}</Button>}
    >
      <Rows
        label={t('admin.groups')}
        query={groups}
        items={items}
        empty={t('groups.empty')}
        keyOf={({ id }) => id}
        row={({ id, name, members }) => (
          <RowText
            icon={<IconUsersGroup size={20} stroke={1.7} />}
            title={name}
            lines={[t('groups.members', { count: members.length })]}
            actions={
              <>
                <ActionIcon
                  variant="subtle"
                  size={36}
                  aria-label={t('groups.membersOf', { name })}
                  onClick={() => ask({ what: 'members', id })}
                >
                  <IconUsers size={18} stroke={1.7} />
                </ActionIcon>
                <ActionIcon
                  variant="subtle"
                  size={36}
                  aria-label={t('common.renameNamed', { name })}
                  onClick={() => ask({ what: 'rename', id })}
                >
                  <IconPencil size={18} stroke={1.7} />
                </ActionIcon>
                <ActionIcon
                  variant="subtle"
                  color="red"
                  size={36}
                  aria-label={t('groups.deleteNamed', { name })}
                  onClick={() => ask({ what: 'delete', id })}
                >
                  <IconTrash size={18} stroke={1.7} />
                </ActionIcon>
              </>
            }
          />
        )}
      />
      {asking === 'create' && (
        <LabelDialog
          title={t('groups.create')}
          submit={t('keys.submit')}
          initial=""
          error={create.error}
          pending={create.isPending}
          onSubmit={(name) => create.mutate(name, { onSuccess: close })}
          onClose={close}
        />
      )}
      {group && what === 'members' && <MembersDialog group={group} onClose={close} />}
      {group && what === 'rename' && (
        <LabelDialog
          title={t('common.renameNamed', { name: group.name })}
          submit={t('common.save')}
          initial={group.name}
          error={rename.error}
          pending={rename.isPending}
          onSubmit={(name) => rename.mutate({ id: group.id, name }, { onSuccess: close })}
          onClose={close}
        />
      )}
      {group && what === 'delete' && (
        <ConfirmDialog
          title={t('groups.deleteTitle', { name: group.name })}
          text={t('groups.deleteText')}
          submit={t('groups.delete')}
          pending={remove.isPending}
          onSubmit={() => remove.mutate(group, { onSettled: close })}
          onClose={close}
        />
      )}
    </Panel>
  );
}
