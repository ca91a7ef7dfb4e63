import { ActionIcon, Button, TextInput } from '@mantine/core';
import { IconFingerprint, IconPencil, IconTrash } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { api, body } from '../api/client';
import type { components } from '../api/schema.gen';
import { ConfirmDialog } from '../app/ConfirmDialog';
import { faultsOf } from '../app/faults';
import { LabelDialog } from '../app/LabelDialog';
import { Panel } from '../app/Panel';
import { Rows, RowText } from '../app/Rows';
import { useChange } from '../app/useChange';
import { useFormat } from '../i18n/format';
import { deviceName } from './agent';
import { accountKeys } from './keys';
import { makePasskey, passkeysHere } from './passkey';
import { SureDialog, type Sure } from './SureDialog';

type Passkey = components['schemas']['Passkey'];

export function PasskeysPanel() {
  const { t } = useTranslation();
  const format = useFormat();
  const [asking, setAsking] = useState<{ rename: Passkey } | { remove: Passkey } | 'add'>();
  const close = () => setAsking(undefined);
  const passkeys = useQuery({
    queryKey: accountKeys.passkeys,
    queryFn: async () => body(await api.GET('/api/v1/me/passkeys')),
  });
  const rename = useChange({
    run: ({ id, name }: { id: string; name: string }) =>
      api.PATCH('/api/v1/me/passkeys/{id}', { params: { path: { id } }, body: { name } }),
    reads: [accountKeys.passkeys],
  });
  const remove = useChange({
    run: ({ id }: Passkey) => api.DELETE('/api/v1/me/passkeys/{id}', { params: { path: { id } } }),
    reads: [accountKeys.passkeys],
    done: (_, { name }) => t('passkeys.removed', { name }),
    failed: t('problems.whileRemoving'),
  });
  const edit = (passkey: Passkey) => {
    rename.reset();
    setAsking({ rename: passkey });
  };
  return (
    <Panel
      title={t('passkeys.title')}
      text={t(passkeysHere() ? 'passkeys.text' : 'passkeys.notHere')}
      actions={
        passkeysHere() && (
          <Button variant="default" onClick={() => setAsking('add')}>
            {t('passkeys.add')}
          </Button>
        )
      }
    >
      <Rows
        label={t('passkeys.title')}
        query={passkeys}
        items={passkeys.data?.items ?? []}
        empty={t('passkeys.empty')}
        keyOf={({ id }) => id}
        row={(passkey) => (
          <RowText
            icon={<IconFingerprint size={20} stroke={1.7} />}
            title={passkey.name}
            lines={[
              t('common.createdAt', { time: format.moment(passkey.createdAt) }),
              passkey.usedAt ? t('common.usedAt', { time: format.moment(passkey.usedAt) }) : t('common.neverUsed'),
            ]}
            actions={
              <>
                <ActionIcon
                  variant="subtle"
                  size={36}
                  aria-label={t('common.renameNamed', { name: passkey.name })}
                  onClick={() => edit(passkey)}
                >
                  <IconPencil size={18} stroke={1.7} />
                </ActionIcon>
                <ActionIcon
                  variant="subtle"
                  color="red"
                  size={36}
                  aria-label={t('common.removeNamed', { name: passkey.name })}
                  onClick={() => setAsking({ remove: passkey })}
                >
                  <IconTrash size={18} stroke={1.7} />
                </ActionIcon>
              </>
            }
          />
        )}
      />
      {asking === 'add' && <AddPasskeyDialog onClose={close} />}
      {typeof asking === 'object' && 'rename' in asking && (
        <LabelDialog
          title={t('common.renameNamed', { name: asking.rename.name })}
          submit={t('common.save')}
          initial={asking.rename.name}
          error={rename.error}
          pending={rename.isPending}
          onSubmit={(name) => rename.mutate({ id: asking.rename.id, name }, { onSuccess: close })}
          onClose={close}
        />
      )}
      {typeof asking === 'object' && 'remove' in asking && (
        <ConfirmDialog
          title={t('passkeys.removeTitle', { name: asking.remove.name })}
          text={t('passkeys.removeText')}
          submit={t('common.remove')}
          pending={remove.isPending}
          onSubmit={() => remove.mutate(asking.remove, { onSettled: close })}
          onClose={close}
        />
      )}
    </Panel>
  );
}

function AddPasskeyDialog({ onClose }: { onClose: () => void }) {
  const { t } = useTranslation();
  const [name, setName] = useState(() => deviceName(navigator.userAgent));
  const [missing, setMissing] = useState(false);
  const add = useChange({
    run: async (sure: Sure) => {
      const { id, options } = body(await api.POST('/api/v1/me/passkeys/begin', { body: sure }));
      const passkey = await makePasskey(options);
      await api.POST('/api/v1/me/passkeys', { body: { name: name.trim(), ceremony: id, passkey } });
    },
    reads: [accountKeys.passkeys],
    done: () => t('passkeys.added', { name: name.trim() }),
  });
  const submit = (sure: Sure) => {
    setMissing(name.trim() === '');
    if (name.trim() !== '') add.mutate(sure, { onSuccess: onClose });
  };
  return (
    <SureDialog
      title={t('passkeys.add')}
      text={t('passkeys.addText')}
      submit={t('common.next')}
      pending={add.isPending}
      error={add.error}
      fields={['name']}
      onSubmit={submit}
      onClose={onClose}
    >
      <TextInput
        label={t('common.name')}
        value={name}
        onChange={(event) => setName(event.currentTarget.value)}
        error={missing ? t('name.empty') : faultsOf(add.error, ['name']).at.name}
        maxLength={64}
        autoComplete="off"
      />
    </SureDialog>
  );
}
