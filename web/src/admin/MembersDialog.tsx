import { ActionIcon, Button, Group, Modal, Stack, Text } from '@mantine/core';
import { IconUserMinus } from '@tabler/icons-react';
import { useTranslation } from 'react-i18next';
import { api, type User } from '../api/client';
import { noticeDone } from '../app/notices';
import { useChange } from '../app/useChange';
import type { UserGroup } from './GroupsPage';
import { adminKeys } from './keys';
import classes from './MembersDialog.module.css';
import { UserPicker } from './UserPicker';
import { userLabel } from './users';

/** Who is in a group. */
export function MembersDialog({ group, onClose }: { group: UserGroup; onClose: () => void }) {
  const { t } = useTranslation();
  const reads = [adminKeys.groups, adminKeys.users];
  const path = (userId: string) => ({ params: { path: { id: group.id, userId } } });
  const add = useChange({
    run: (userId: string) => api.PUT('/api/v1/admin/groups/{id}/members/{userId}', path(userId)),
    reads,
    failed: t('problems.whileChanging'),
  });
  const remove = useChange({
    run: async (user: User) => {
      await api.DELETE('/api/v1/admin/groups/{id}/members/{userId}', path(user.id));
      noticeDone(t('groups.removed', { name: userLabel(user), group: group.name }), () => add.mutate(user.id));
    },
    reads,
    failed: t('problems.whileRemoving'),
  });
  return (
    <Modal
      opened
      onClose={onClose}
      title={t('groups.membersOf', { name: group.name })}
      closeButtonProps={{ 'aria-label': t('common.close') }}
    >
      <Stack>
        <UserPicker
          // Empty again after each that was picked.
          key={group.members.length}
          label={t('groups.add')}
          value={undefined}
          onChange={(id) => {
            if (id !== undefined) add.mutate(id);
          }}
          without={group.members.map(({ id }) => id)}
        />
        {group.members.length === 0 ? (
          <Text size="sm" c="dimmed">
            {t('groups.noMembers')}
          </Text>
        ) : (
          <ul className={classes.list} aria-label={t('groups.membersOf', { name: group.name })}>
            {group.members.map((user) => (
              <li key={user.id} className={classes.member}>
                <Text size="sm" truncate>
                  {userLabel(user)}
                </Text>
                <ActionIcon
                  variant="subtle"
                  color="red"
                  size={36}
                  aria-label={t('common.removeNamed', { name: userLabel(user) })}
                  onClick={() => remove.mutate(user)}
                >
                  <IconUserMinus size={18} stroke={1.7} />
                </ActionIcon>
              </li>
            ))}
          </ul>
        )}
      </Stack>
      <Group justify="flex-end" mt="lg">
        <Button onClick={onClose}>{t('common.done')}</Button>
      </Group>
    </Modal>
  );
}
