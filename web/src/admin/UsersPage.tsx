import { Button, Select, TextInput } from '@mantine/core';
import { useDebouncedValue } from '@mantine/hooks';
import { IconSearch, IconUserPlus } from '@tabler/icons-react';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Panel } from '../app/Panel';
import { Rows } from '../app/Rows';
import { SecretDialog } from '../app/SecretDialog';
import { usePageTitle } from '../app/usePageTitle';
import { useFormat } from '../i18n/format';
import { CreateUserDialog } from './CreateUserDialog';
import classes from './Filters.module.css';
import { fullLink, userLabel, useUsers, type ManagedUser, type UserState } from './users';
import { UserDialogs, type AskingOfUser } from './UserDialogs';
import { UserRow } from './UserRow';

/** A one-time link for a person to set a password, while it is on screen. */
export interface PasswordLink {
  user: ManagedUser;
  link: string;
  expiresAt: string;
}

/** Every account: find one, make one, and whatever else an administrator does to one. */
export function UsersPage() {
  const { t } = useTranslation();
  const format = useFormat();
  const [text, setText] = useState('');
  const [query] = useDebouncedValue(text.trim(), 250);
  const [state, setState] = useState<UserState>();
  const [creating, setCreating] = useState(false);
  const [asking, setAsking] = useState<AskingOfUser>();
  const [link, setLink] = useState<PasswordLink>();
  const users = useUsers(query, state);
  usePageTitle(t('admin.users'));
  const states: Record<UserState, string> = {
    active: t('users.active'),
    disabled: t('users.disabled'),
    deleted: t('users.deleted'),
  };
  return (
    <Panel
      title={t('admin.users')}
      actions={
        <Button leftSection={<IconUserPlus size={18} aria-hidden />} onClick={() => setCreating(true)}>
          {t('users.create')}
        </Button>
      }
    >
      <div className={classes.filters}>
        <TextInput
          label={t('users.search')}
          type="search"
          placeholder={t('users.searchHint')}
          leftSection={<IconSearch size={16} aria-hidden />}
          value={text}
          onChange={(event) => setText(event.currentTarget.value)}
          className={classes.wide}
        />
        <Select
          label={t('users.state')}
          placeholder={t('users.all')}
          clearable
          value={state ?? null}
          onChange={(value) => setState(value ?? undefined)}
          data={(Object.keys(states) as UserState[]).map((value) => ({ value, label: states[value] }))}
        />
      </div>
      <Rows
        label={t('admin.users')}
        query={users}
        items={users.items}
        empty={t('users.none')}
        keyOf={({ id }) => id}
        row={(user) => <UserRow user={user} onAsk={setAsking} />}
      />
      {creating && (
        <CreateUserDialog
          onCreated={(created) => {
            setCreating(false);
            if (created) setLink(created);
          }}
          onClose={() => setCreating(false)}
        />
      )}
      {asking && <UserDialogs asking={asking} onLink={setLink} onClose={() => setAsking(undefined)} />}
      {link && (
        <SecretDialog
          title={userLabel(link.user)}
          text={t('users.linkText', { time: format.momentAndTime(link.expiresAt) })}
          label={t('users.link')}
          value={fullLink(link.link)}
          onClose={() => setLink(undefined)}
        />
      )}
    </Panel>
  );
}
