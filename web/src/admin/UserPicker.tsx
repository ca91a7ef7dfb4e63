import { Select } from '@mantine/core';
import { useDebouncedValue } from '@mantine/hooks';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { api, body } from '../api/client';
import { adminKeys } from './keys';
import { userLabel, useUsers } from './users';

interface UserPickerProps {
  label: string;
  /** The id of the account that is picked. */
  value: string | undefined;
  onChange: (id: string | undefined) => void;
  /** Accounts that cannot be picked. */
  without?: readonly string[];
}

/** Finds an account by the beginning of its login, name or phone. */
export function UserPicker({ label, value, onChange, without = [] }: UserPickerProps) {
  const { t } = useTranslation();
  const [text, setText] = useState('');
  const picked = usePicked(value);
  // The search field also holds the label of what is picked, which no account begins with.
  const [query] = useDebouncedValue(picked && text === userLabel(picked) ? '' : text.trim(), 250);
  const { items, isFetching } = useUsers(query, undefined);
  const found = items.filter(({ id }) => !without.includes(id));
  const listed = picked && !found.some(({ id }) => id === picked.id) ? [picked, ...found] : found;
  return (
    <Select
      label={label}
      placeholder={t('users.searchHint')}
      searchable
      clearable
      value={value ?? null}
      onChange={(id) => onChange(id ?? undefined)}
      searchValue={text}
      onSearchChange={setText}
      data={listed.map((user) => ({ value: user.id, label: userLabel(user) }))}
      // The server has filtered already, by more than the label.
      filter={({ options }) => options}
      nothingFoundMessage={isFetching ? t('common.loading') : t('users.none')}
    />
  );
}

function usePicked(id: string | undefined) {
  const { data } = useQuery({
    queryKey: [...adminKeys.users, 'one', id],
    queryFn: async () => body(await api.GET('/api/v1/admin/users/{id}', { params: { path: { id: id ?? '' } } })),
    enabled: id !== undefined,
    retry: false,
  });
  return id === undefined ? undefined : data;
}
