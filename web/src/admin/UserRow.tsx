import { ActionIcon, Avatar, Badge, Menu } from '@mantine/core';
import {
  IconBan,
  IconCircleCheck,
  IconDatabase,
  IconDots,
  IconDownload,
  IconHistory,
  IconLink,
  IconLogout,
  IconPencil,
  IconRestore,
  IconShieldLock,
  IconShieldOff,
  IconTrash,
} from '@tabler/icons-react';
import { useTranslation } from 'react-i18next';
import { Link } from 'react-router';
import { useSessionUser } from '../account/session';
import { apiPrefix } from '../api/client';
import { download } from '../api/links';
import { RowText } from '../app/Rows';
import { useFormat } from '../i18n/format';
import type { AskingOfUser } from './UserDialogs';
import type { ManagedUser } from './users';

interface UserRowProps {
  user: ManagedUser;
  onAsk: (asking: AskingOfUser) => void;
}

export function UserRow({ user, onAsk }: UserRowProps) {
  const { t } = useTranslation();
  const format = useFormat();
  const { login, name, role, state, totp, phone, groups, seenAt, eraseAt } = user;
  return (
    <RowText
      icon={<Avatar name={name ?? login} size={38} radius="md" color={state === 'active' ? 'lagoon' : 'gray'} alt="" />}
      title={name ?? login}
      badges={
        <>
          {role === 'admin' && (
            <Badge variant="light" tt="none">
              {t('users.roleAdmin')}
            </Badge>
          )}
          {state !== 'active' && (
            <Badge variant="light" color="red" tt="none">
              {t(state === 'disabled' ? 'users.disabled' : 'users.deleted')}
            </Badge>
          )}
          {totp && (
            <Badge variant="light" color="gray" tt="none">
              {t('users.totp')}
            </Badge>
          )}
        </>
      }
      lines={[
        [name && login, phone, ...groups].filter(Boolean).join(' · '),
        state === 'deleted' && eraseAt
          ? t('users.erasedAt', { time: format.momentAndTime(eraseAt) })
          : seenAt
            ? t('sessions.seen', { time: format.momentAndTime(seenAt) })
            : t('users.neverSeen'),
      ]}
      actions={<UserMenu user={user} onAsk={onAsk} />}
    />
  );
}

function UserMenu({ user, onAsk }: UserRowProps) {
  const { t } = useTranslation();
  const self = useSessionUser().id === user.id;
  const icon = (Icon: typeof IconDots) => <Icon size={16} aria-hidden />;
  const ask = (what: AskingOfUser['what']) => () => onAsk({ what, user });
  return (
    <Menu position="bottom-end" width={250}>
      <Menu.Target>
        <ActionIcon variant="subtle" size={36} aria-label={t('explorer.actionsFor', { name: user.login })}>
          <IconDots size={20} stroke={1.7} />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Item leftSection={icon(IconPencil)} onClick={ask('rename')}>
          {t('users.rename')}
        </Menu.Item>
        <Menu.Item leftSection={icon(IconDatabase)} onClick={ask('quota')}>
          {t('storage.quota')}
        </Menu.Item>
        <Menu.Item leftSection={icon(IconLink)} onClick={ask('reset')}>
          {t('users.reset')}
        </Menu.Item>
        {user.totp && (
          <Menu.Item leftSection={icon(IconShieldOff)} onClick={ask('clearTotp')}>
            {t('users.clearTotp')}
          </Menu.Item>
        )}
        <Menu.Item leftSection={icon(IconLogout)} onClick={ask('endSessions')}>
          {t('users.endSessions')}
        </Menu.Item>
        <Menu.Item component={Link} to={`/admin/events?userId=${user.id}`} leftSection={icon(IconHistory)}>
          {t('account.activity')}
        </Menu.Item>
        <Menu.Item
          leftSection={icon(IconDownload)}
          onClick={() => download([`${apiPrefix}/admin/users/${encodeURIComponent(user.id)}/export`])}
        >
          {t('users.export')}
        </Menu.Item>
        {/* One does not lock oneself out from here. */}
        {!self && (
          <>
            <Menu.Divider />
            <Menu.Item leftSection={icon(IconShieldLock)} onClick={ask(user.role === 'admin' ? 'demote' : 'promote')}>
              {t(user.role === 'admin' ? 'users.demote' : 'users.promote')}
            </Menu.Item>
            {user.state === 'active' ? (
              <Menu.Item color="red" leftSection={icon(IconBan)} onClick={ask('disable')}>
                {t('users.disable')}
              </Menu.Item>
            ) : (
              <Menu.Item
                leftSection={icon(user.state === 'deleted' ? IconRestore : IconCircleCheck)}
                onClick={ask('enable')}
              >
                {t(user.state === 'deleted' ? 'users.bringBack' : 'users.enable')}
              </Menu.Item>
            )}
            {user.state !== 'deleted' && (
              <Menu.Item color="red" leftSection={icon(IconTrash)} onClick={ask('delete')}>
                {t('users.delete')}
              </Menu.Item>
            )}
          </>
        )}
      </Menu.Dropdown>
    </Menu>
  );
}
