import { useTranslation } from 'react-i18next';
import { api, body } from '../api/client';
import { ConfirmDialog } from '../app/ConfirmDialog';
import { LabelDialog } from '../app/LabelDialog';
import { noticeDone } from '../app/notices';
import { useChange } from '../app/useChange';
import { adminKeys } from './keys';
import { QuotaDialog } from './QuotaDialog';
import { userLabel, type ManagedUser, type UserRole, type UserState } from './users';
import type { PasswordLink } from './UsersPage';

/** What is about to be done to an account. */
export interface AskingOfUser {
  what: Act | 'rename' | 'quota';
  user: ManagedUser;
}

type Act = 'reset' | 'clearTotp' | 'endSessions' | 'promote' | 'demote' | 'disable' | 'enable' | 'delete';

interface UserDialogsProps {
  asking: AskingOfUser;
  onLink: (link: PasswordLink) => void;
  onClose: () => void;
}

/** Asks before each act, and does it. */
export function UserDialogs({ asking, onLink, onClose }: UserDialogsProps) {
  const { what, user } = asking;
  if (what === 'rename') return <RenameUserDialog user={user} onClose={onClose} />;
  if (what === 'quota') return <QuotaDialog user={user} onClose={onClose} />;
  return <ActDialog act={what} user={user} onLink={onLink} onClose={onClose} />;
}

const reads = [adminKeys.users, adminKeys.events];

interface UserChange {
  role?: UserRole;
  state?: UserState;
  name?: string;
}

function manage(id: string, change: UserChange) {
  return api.PATCH('/api/v1/admin/users/{id}', { params: { path: { id } }, body: change });
}

function RenameUserDialog({ user, onClose }: { user: ManagedUser; onClose: () => void }) {
  const { t } = useTranslation();
  const rename = useChange({ run: (name: string) => manage(user.id, { name }), reads });
  return (
    <LabelDialog
      title={t('users.renameTitle', { login: user.login })}
      submit={t('common.save')}
      initial={user.name ?? ''}
      error={rename.error}
      pending={rename.isPending}
      onSubmit={(name) => rename.mutate(name, { onSuccess: onClose })}
      onClose={onClose}
    />
  );
}

function ActDialog({ act, user, onLink, onClose }: { act: Act; user: ManagedUser } & Omit<UserDialogsProps, 'asking'>) {
  const { t } = useTranslation();
  const { id } = user;
  const name = userLabel(user);
  const words = useWords(act, user);
  const path = { params: { path: { id } } };
  const undo = useChange({
    run: () => manage(id, { state: user.state }),
    reads,
    done: () => t('users.changed', { name }),
    failed: t('problems.whileChanging'),
  });
  const change = useChange({
    run: async () => {
      switch (act) {
        case 'reset': {
          const made = body(await api.POST('/api/v1/admin/users/{id}/reset', path));
          onLink({ user, ...made });
          return;
        }
        case 'clearTotp':
          await api.DELETE('/api/v1/admin/users/{id}/totp', path);
          break;
        case 'endSessions':
          await api.DELETE('/api/v1/admin/users/{id}/sessions', path);
          break;
        case 'promote':
        case 'demote':
          await manage(id, { role: act === 'promote' ? 'admin' : 'user' });
          break;
        case 'enable':
          await manage(id, { state: 'active' });
          break;
        case 'disable':
        case 'delete':
          await manage(id, { state: act === 'delete' ? 'deleted' : 'disabled' });
          noticeDone(t(act === 'delete' ? 'users.isDeleted' : 'users.isDisabled', { name }), () => undo.mutate());
          return;
      }
      noticeDone(t('users.changed', { name }));
    },
    reads,
    failed: t('problems.whileChanging'),
  });
  return (
    <ConfirmDialog
      title={words.title}
      text={words.text}
      submit={words.submit}
      pending={change.isPending}
      onSubmit={() => change.mutate(undefined, { onSettled: onClose })}
      onClose={onClose}
    />
  );
}

function useWords(act: Act, user: ManagedUser): { title: string; text: string; submit: string } {
  const { t } = useTranslation();
  const name = userLabel(user);
  switch (act) {
    case 'reset':
      return { title: t('users.resetTitle', { name }), text: t('users.resetText'), submit: t('users.reset') };
    case 'clearTotp':
      return { title: t('users.clearTotpTitle', { name }), text: t('users.clearTotpText'), submit: t('totp.turnOff') };
    case 'endSessions':
      return {
        title: t('users.endSessionsTitle', { name }),
        text: t('users.endSessionsText'),
        submit: t('users.endSessions'),
      };
    case 'promote':
      return { title: t('users.promoteTitle', { name }), text: t('users.promoteText'), submit: t('users.promote') };
    case 'demote':
      return { title: t('users.demoteTitle', { name }), text: t('users.demoteText'), submit: t('users.demote') };
    case 'enable':
      return user.state === 'deleted'
        ? { title: t('users.bringBackTitle', { name }), text: t('users.enableText'), submit: t('users.bringBack') }
        : { title: t('users.enableTitle', { name }), text: t('users.enableText'), submit: t('users.enable') };
    case 'disable':
      return { title: t('users.disableTitle', { name }), text: t('users.disableText'), submit: t('users.disable') };
    case 'delete':
      return { title: t('users.deleteTitle', { name }), text: t('users.deleteText'), submit: t('users.delete') };
  }
}
