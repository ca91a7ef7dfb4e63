import { useTranslation } from 'react-i18next';
import { SubPages } from '../app/SubPages';

/** All that somebody decides about their own account. */
export function AccountPages() {
  const { t } = useTranslation();
  const pages = [
    { to: '/account', label: t('account.profile') },
    { to: '/account/security', label: t('account.security') },
    { to: '/account/sessions', label: t('account.sessions') },
    { to: '/account/keys', label: t('account.keys') },
    { to: '/account/activity', label: t('account.activity') },
    { to: '/account/data', label: t('account.data') },
  ];
  return <SubPages title={t('account.title')} pages={pages} />;
}
