import { Button, Divider, Stack } from '@mantine/core';
import { IconBrandGithub, IconFingerprint, IconWorld } from '@tabler/icons-react';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useTranslation } from 'react-i18next';
import { api, body } from '../api/client';
import { toProblem } from '../api/problem';
import { ProblemAlert } from '../app/ProblemAlert';
import { providerLink, type SignInMethods } from './methods';
import { askForPasskey, passkeysHere } from './passkey';
import { enterSession } from './session';

/** Ways in that need nothing to be typed: a passkey, another site's account. */
export function OtherWays({ methods, next }: { methods: SignInMethods; next: string }) {
  const { t } = useTranslation();
  const queries = useQueryClient();
  const enter = useMutation({
    mutationFn: async () => {
      const { id, options } = body(await api.POST('/api/v1/auth/passkey'));
      const passkey = await askForPasskey(options);
      return enterSession(queries, { ceremony: id, passkey });
    },
  });
  const passkeys = methods.passkeys && passkeysHere();
  if (!passkeys && methods.providers.length === 0) return null;
  return (
    <Stack mt="lg" gap="sm">
      <Divider label={t('signIn.or')} />
      <ProblemAlert problem={enter.error ? toProblem(enter.error) : undefined} />
      {passkeys && (
        <Button
          variant="default"
          size="md"
          leftSection={<IconFingerprint size={20} stroke={1.7} aria-hidden />}
          loading={enter.isPending}
          onClick={() => enter.mutate()}
        >
          {t('signIn.passkey')}
        </Button>
      )}
      {methods.providers.map(({ name, title }) => (
        <Button
          key={name}
          component="a"
          href={providerLink(name, next)}
          variant="default"
          size="md"
          leftSection={<ProviderIcon name={name} />}
        >
          {t('signIn.provider', { title })}
        </Button>
      ))}
    </Stack>
  );
}

export function ProviderIcon({ name }: { name: string }) {
  const Icon = name === 'github' ? IconBrandGithub : IconWorld;
  return <Icon size={20} stroke={1.7} aria-hidden />;
}
