import { AppShell, Burger, Group, NavLink, Text } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { IconFolders, IconShieldLock, IconTrash } from '@tabler/icons-react';
import { useTranslation } from 'react-i18next';
import { Link, Outlet, useLocation } from 'react-router';
import { QuotaBar } from '../account/QuotaBar';
import { useSessionUser } from '../account/session';
import { UploadPanel } from '../uploads/UploadPanel';
import { AccountMenu } from './AccountMenu';
import { Logo } from './Logo';
import classes from './Shell.module.css';

/** The frame around every page of a signed-in account. */
export function Shell() {
  const { t } = useTranslation();
  const [opened, { toggle, close }] = useDisclosure(false);
  const { pathname } = useLocation();
  const { role } = useSessionUser();
  const pages = [
    { to: '/files', label: t('app.files'), icon: IconFolders },
    { to: '/trash', label: t('app.trash'), icon: IconTrash },
    ...(role === 'admin' ? [{ to: '/admin', label: t('admin.title'), icon: IconShieldLock }] : []),
  ];
  return (
    <AppShell
      header={{ height: { base: 56, sm: 0 } }}
      navbar={{ width: 256, breakpoint: 'sm', collapsed: { mobile: !opened } }}
      padding={0}
    >
      <a href="#content" className={classes.skip}>
        {t('app.skip')}
      </a>
      <AppShell.Header hiddenFrom="sm" className={classes.header}>
        <Group h="100%" px="md" gap="sm">
          <Burger
            opened={opened}
            onClick={toggle}
            size="sm"
            aria-label={t(opened ? 'app.closeMenu' : 'app.openMenu')}
          />
          <Logo size={28} />
          <Text fw={650}>{t('app.name')}</Text>
        </Group>
      </AppShell.Header>
      <AppShell.Navbar className={classes.navbar} aria-label={t('app.menu')}>
        <Group gap="sm" px={8} pb="lg" visibleFrom="sm">
          <Logo size={34} />
          <Text fw={650} size="lg">
            {t('app.name')}
          </Text>
        </Group>
        <div className={classes.links}>
          {pages.map(({ to, label, icon: Icon }) => {
            const active = pathname === to || pathname.startsWith(`${to}/`);
            return (
              <NavLink
                key={to}
                component={Link}
                to={to}
                label={label}
                leftSection={<Icon size={20} stroke={1.7} />}
                active={active}
                aria-current={active ? 'page' : undefined}
                className={classes.link ?? ''}
                onClick={close}
              />
            );
          })}
        </div>
        <div className={classes.quota}>
          <QuotaBar />
        </div>
        <AccountMenu onLeave={close} />
      </AppShell.Navbar>
      <AppShell.Main id="content" tabIndex={-1} className={classes.main}>
        <Outlet />
      </AppShell.Main>
      <UploadPanel />
    </AppShell>
  );
}
