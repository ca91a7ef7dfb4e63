import { Button, Radio, Skeleton, Stack, Switch } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { api, body } from '../api/client';
import { toProblem } from '../api/problem';
import type { components } from '../api/schema.gen';
import { Panel } from '../app/Panel';
import { ProblemAlert } from '../app/ProblemAlert';
import { useChange } from '../app/useChange';
import { usePageTitle } from '../app/usePageTitle';
import { adminKeys } from './keys';

type Registration = components['schemas']['Policy']['registration'];

const policies: readonly Registration[] = ['closed', 'invite', 'sms', 'open'];

/** Who may make an account, and which ways in there are. */
export function PolicyPage() {
  const { t } = useTranslation();
  usePageTitle(t('admin.policy'));
  const policy = useQuery({
    queryKey: adminKeys.policy,
    queryFn: async () => body(await api.GET('/api/v1/admin/policy')),
  });
  return (
    <>
      <Panel title={t('policy.registration')} text={t('policy.text')}>
        {policy.data ? (
          <PolicyForm current={policy.data.registration} />
        ) : policy.isError ? (
          <Stack align="flex-start">
            <ProblemAlert problem={toProblem(policy.error)} />
            <Button variant="default" size="xs" onClick={() => void policy.refetch()}>
              {t('common.retry')}
            </Button>
          </Stack>
        ) : (
          <Skeleton height={180} radius="md" aria-busy />
        )}
      </Panel>
      <MethodsPanel />
    </>
  );
}

function PolicyForm({ current }: { current: Registration }) {
  const { t } = useTranslation();
  const queries = useQueryClient();
  const [chosen, setChosen] = useState(current);
  const save = useChange({
    run: async (registration: Registration) => {
      const policy = body(await api.PUT('/api/v1/admin/policy', { body: { registration } }));
      queries.setQueryData(adminKeys.policy, policy);
    },
    reads: [adminKeys.policy, ['methods']],
    done: () => t('account.saved'),
  });
  return (
    <Stack align="flex-start">
      <ProblemAlert problem={save.error ? toProblem(save.error) : undefined} />
      <Radio.Group
        aria-label={t('policy.registration')}
        value={chosen}
        onChange={(value) => setChosen(policies.find((known) => known === value) ?? current)}
      >
        <Stack gap="sm">
          {policies.map((value) => (
            <Radio key={value} value={value} label={t(`policy.${value}`)} description={t(`policy.${value}Hint`)} />
          ))}
        </Stack>
      </Radio.Group>
      <Button disabled={chosen === current} loading={save.isPending} onClick={() => save.mutate(chosen)}>
        {t('common.save')}
      </Button>
    </Stack>
  );
}

type Method = components['schemas']['SignInMethod'];

const words = { password: 'signIn.byPassword', sms: 'signIn.bySms', passkey: 'passkeys.title' } as const;

/** Which ways in there are. What a way needs is set up in the configuration; here it is turned off and on. */
function MethodsPanel() {
  const { t } = useTranslation();
  const queries = useQueryClient();
  const methods = useQuery({
    queryKey: adminKeys.methods,
    queryFn: async () => body(await api.GET('/api/v1/admin/methods')).items,
  });
  const turn = useChange({
    run: async ({ name, on }: { name: string; on: boolean }) => {
      const path = { name };
      const { items } = body(await api.PUT('/api/v1/admin/methods/{name}', { params: { path }, body: { on } }));
      queries.setQueryData(adminKeys.methods, items);
    },
    reads: [adminKeys.methods, ['methods']],
    done: () => t('account.saved'),
    failed: t('problems.whileChangingMethods'),
  });
  if (methods.isError) {
    return (
      <Panel title={t('signIn.ways')}>
        <ProblemAlert problem={toProblem(methods.error)} />
      </Panel>
    );
  }
  if (!methods.data) return null;
  const titleOf = ({ name, title }: Method) => (name in words ? t(words[name as keyof typeof words]) : (title ?? name));
  return (
    <Panel title={t('signIn.ways')} text={t('policy.methodsText')}>
      <Stack gap="md">
        {methods.data.map((method) => (
          <Switch
            key={method.name}
            label={titleOf(method)}
            description={
              !method.ready ? t('policy.notReady') : method.name === 'password' ? t('policy.passwordHint') : undefined
            }
            checked={method.on && method.ready}
            disabled={!method.ready || turn.isPending}
            onChange={(event) => turn.mutate({ name: method.name, on: event.currentTarget.checked })}
          />
        ))}
      </Stack>
    </Panel>
  );
}
