import { Button, Group, Stack, Text, TextInput } from '@mantine/core';
import { useForm } from '@mantine/form';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { api, body } from '../api/client';
import { faultsOf } from '../app/faults';
import { Panel } from '../app/Panel';
import { ProblemAlert } from '../app/ProblemAlert';
import { useChange } from '../app/useChange';
import { usePageTitle } from '../app/usePageTitle';
import { accountKeys } from './keys';
import { useSignInMethods } from './methods';
import { PhoneDialog } from './PhoneDialog';
import { useSessionUser } from './session';

/** Who one is here: login, name and phone. */
export function ProfilePage() {
  const { t } = useTranslation();
  usePageTitle(t('account.profile'));
  return (
    <>
      <NamePanel />
      <PhonePanel />
    </>
  );
}

function NamePanel() {
  const { t } = useTranslation();
  const me = useSessionUser();
  const save = useChange({
    run: async (change: { login?: string; name?: string }) => body(await api.PATCH('/api/v1/me', { body: change })),
    reads: [accountKeys.me],
    done: () => t('account.saved'),
  });
  const form = useForm({
    mode: 'uncontrolled',
    initialValues: { login: me.login, name: me.name ?? '' },
    validate: { login: (value) => (value.trim() === '' ? t('signIn.loginNeeded') : null) },
  });
  const submit = ({ login, name }: { login: string; name: string }) => {
    const change = {
      ...(login.trim() !== me.login && { login: login.trim() }),
      ...(name.trim() !== (me.name ?? '') && { name: name.trim() }),
    };
    save.mutate(change, { onError: (error) => form.setErrors(faultsOf(error, ['login', 'name']).at) });
  };
  return (
    <Panel title={t('account.profile')} text={t('account.profileText')}>
      <form onSubmit={form.onSubmit(submit)} noValidate>
        <Stack maw={420}>
          <ProblemAlert problem={faultsOf(save.error, ['login', 'name']).rest} />
          <TextInput
            label={t('signIn.login')}
            description={t('account.loginHint')}
            autoComplete="username"
            autoCapitalize="none"
            spellCheck={false}
            key={form.key('login')}
            {...form.getInputProps('login')}
          />
          <TextInput
            label={t('account.name')}
            description={t('account.nameHint')}
            autoComplete="name"
            maxLength={64}
            key={form.key('name')}
            {...form.getInputProps('name')}
          />
          <Group>
            <Button type="submit" loading={save.isPending}>
              {t('common.save')}
            </Button>
          </Group>
        </Stack>
      </form>
    </Panel>
  );
}

/** Not shown where neither a phone is there nor one could be proved to be one's own. */
function PhonePanel() {
  const { t } = useTranslation();
  const { phone } = useSessionUser();
  const { data: methods } = useSignInMethods();
  const [changing, setChanging] = useState(false);
  if (!phone && !methods?.sms) return null;
  return (
    <Panel
      title={t('signIn.phone')}
      text={t('account.phoneText')}
      actions={
        methods?.sms && (
          <Button variant="default" onClick={() => setChanging(true)}>
            {t(phone ? 'account.changePhone' : 'account.addPhone')}
          </Button>
        )
      }
    >
      <Text size="sm" fw={600}>
        {phone ?? t('account.noPhone')}
      </Text>
      {changing && <PhoneDialog onClose={() => setChanging(false)} />}
    </Panel>
  );
}
