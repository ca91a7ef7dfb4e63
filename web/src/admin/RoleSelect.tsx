import { Select } from '@mantine/core';
import { useTranslation } from 'react-i18next';
import type { UserRole } from './users';

export function RoleSelect({ value, onChange }: { value: UserRole; onChange: (role: UserRole) => void }) {
  const { t } = useTranslation();
  return (
    <Select
      label={t('users.role')}
      value={value}
      onChange={(role) => onChange(role === 'admin' ? 'admin' : 'user')}
      allowDeselect={false}
      data={[
        { value: 'user', label: t('users.roleUser') },
        { value: 'admin', label: t('users.roleAdmin') },
      ]}
    />
  );
}
