import { Button } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { api, body } from '../api/client';
import type { components } from '../api/schema.gen';
import { ConfirmDialog } from '../app/ConfirmDialog';
import { Panel } from '../app/Panel';
import { Rows, RowText } from '../app/Rows';
import { useChange } from '../app/useChange';
import { useFormat } from '../i18n/format';
import { accountKeys } from './keys';
import { ProviderIcon } from './OtherWays';
import { SureDialog, type Sure } from './SureDialog';

type Identity = components['schemas']['Identity'];
type Provider = components['schemas']['SignInProvider'];

/** Accounts at other sites by which one gets in here. Not shown where there is none and could be none. */
export function IdentitiesPanel({ providers }: { providers: readonly Provider[] }) {
  const { t } = useTranslation();
  const format = useFormat();
  const [asking, setAsking] = useState<{ link: Provider } | { unlink: Identity }>();
  const close = () => setAsking(undefined);
  const identities = useQuery({
    queryKey: accountKeys.identities,
    queryFn: async () => body(await api.GET('/api/v1/me/identities')),
  });
  const link = useChange({
    run: async ({ provider, sure }: { provider: Provider; sure: Sure }) =>
      body(
        await api.POST('/api/v1/me/identities/{provider}', {
          params: { path: { provider: provider.name } },
          body: sure,
        }),
      ),
    reads: [],
  });
  const unlink = useChange({
    run: ({ provider }: Identity) => api.DELETE('/api/v1/me/identities/{provider}', { params: { path: { provider } } }),
    reads: [accountKeys.identities],
    done: (_, { title }) => t('identities.unlinked', { title }),
    failed: t('problems.whileRemoving'),
  });
  const items = identities.data?.items ?? [];
  if (providers.length === 0 && items.length === 0) return null;
  const unlinked = providers.filter(({ name }) => !items.some(({ provider }) => provider === name));
  return (
    <Panel
      title={t('identities.title')}
      text={t('identities.text')}
      actions={unlinked.map((provider) => (
        <Button
          key={provider.name}
          variant="default"
          leftSection={<ProviderIcon name={provider.name} />}
          onClick={() => {
            link.reset();
            setAsking({ link: provider });
          }}
        >
          {t('identities.link', { title: provider.title })}
        </Button>
      ))}
    >
      <Rows
        label={t('identities.title')}
        query={identities}
        items={items}
        empty={t('identities.empty')}
        keyOf={({ provider }) => provider}
        row={(identity) => (
          <RowText
            icon={<ProviderIcon name={identity.provider} />}
            title={identity.title}
            lines={[identity.login, t('identities.since', { time: format.moment(identity.linkedAt) })]}
            actions={
              <Button
                variant="subtle"
                color="red"
                size="compact-sm"
                aria-label={t('identities.unlinkNamed', { title: identity.title })}
                onClick={() => setAsking({ unlink: identity })}
              >
                {t('identities.unlink')}
              </Button>
            }
          />
        )}
      />
      {asking && 'link' in asking && (
        <SureDialog
          title={t('identities.link', { title: asking.link.title })}
          text={t('identities.linkText', { title: asking.link.title })}
          submit={t('common.next')}
          pending={link.isPending || link.isSuccess}
          error={link.error}
          onSubmit={(sure) =>
            link.mutate({ provider: asking.link, sure }, { onSuccess: ({ url }) => window.location.assign(url) })
          }
          onClose={close}
        />
      )}
      {asking && 'unlink' in asking && (
        <ConfirmDialog
          title={t('identities.unlinkTitle', { title: asking.unlink.title })}
          text={t('identities.unlinkText')}
          submit={t('identities.unlink')}
          pending={unlink.isPending}
          onSubmit={() => unlink.mutate(asking.unlink, { onSettled: close })}
          onClose={close}
        />
      )}
    </Panel>
  );
}
