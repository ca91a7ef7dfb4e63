import { Avatar, Menu, Text, UnstyledButton } from '@mantine/core';
import { IconChevronUp, IconLogout, IconUserCircle } from '@tabler/icons-react';
import { useTranslation } from 'react-i18next';
import { Link } from 'react-router';
import { leftOnPurpose } from '../account/RequireSession';
import { useSessionUser, useSignOut } from '../account/session';
import { useUploads } from '../uploads/UploadsProvider';
import { LanguageItems } from './LanguageMenu';
import { noticeProblem } from './notices';
import classes from './Shell.module.css';
import { ThemeItems } from './ThemeMenu';

/** Who is signed in, how the page looks and speaks, the account's own pages and the way out. */
export function AccountMenu({ onLeave }: { onLeave: () => void }) {
  const { t } = useTranslation();
  const user = useSessionUser();
  const signOut = useSignOut();
  const { uploader } = useUploads();

  const leave = () => {
    leftOnPurpose();
    uploader.engine.cancelAll();
    signOut.mutate(undefined, { onError: (error) => noticeProblem(t('problems.whileSigningOut'), error) });
  };
  return (
    <Menu position="top-start" width={224} withinPortal>
      <Menu.Target>
        <UnstyledButton className={classes.account} aria-label={`${t('app.account')}: ${user.login}`}>
          <Avatar name={user.name ?? user.login} color="lagoon" size={32} radius="xl" alt="" />
          <Text size="sm" fw={600} truncate flex={1}>
            {user.name ?? user.login}
          </Text>
          <IconChevronUp size={16} aria-hidden />
        </UnstyledButton>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>{t('app.language')}</Menu.Label>
        <LanguageItems />
        <Menu.Divider />
        <Menu.Label>{t('app.theme')}</Menu.Label>
        <ThemeItems />
        <Menu.Divider />
        <Menu.Item component={Link} to="/account" leftSection={<IconUserCircle size={16} />} onClick={onLeave}>
          {t('account.title')}
        </Menu.Item>
        <Menu.Item leftSection={<IconLogout size={16} />} onClick={leave}>
          {t('app.signOut')}
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}
