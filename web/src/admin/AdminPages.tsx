import { useTranslation } from 'react-i18next';
import { useSessionUser } from '../account/session';
import { NotFoundPage } from '../app/ErrorPages';
import { SubPages } from '../app/SubPages';

/** The drive's administration; for anybody but administrators there is no such page. */
export function AdminPages() {
  const { t } = useTranslation();
  const { role } = useSessionUser();
  if (role !== 'admin') return <NotFoundPage />;
  const pages = [
    { to: '/admin/users', label: t('admin.users') },
    { to: '/admin/invites', label: t('admin.invites') },
    { to: '/admin/groups', label: t('admin.groups') },
    { to: '/admin/storage', label: t('admin.storage') },
    { to: '/admin/policy', label: t('admin.policy') },
    { to: '/admin/events', label: t('admin.events') },
  ];
  return <SubPages title={t('admin.title')} pages={pages} />;
}
