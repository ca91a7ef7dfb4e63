import { Checkbox, Radio, Select, Stack, TextInput } from '@mantine/core';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { api, body } from '../api/client';
import type { components } from '../api/schema.gen';
import { faultsOf } from '../app/faults';
import { useChange } from '../app/useChange';
import { FolderPicker } from '../explorer/FolderPicker';
import { useFolder } from '../explorer/queries';
import { accountKeys } from './keys';
import { SureDialog, type Sure } from './SureDialog';

interface KeyDialogProps {
  onCreated: (key: components['schemas']['NewAccessKey']) => void;
  onClose: () => void;
}

/** Days until a key stops working; 0: it does not. */
const lives = [30, 90, 365, 0] as const;

/** Makes an app password or a token, with no more rights than it needs. */
export function KeyDialog({ onCreated, onClose }: KeyDialogProps) {
  const { t } = useTranslation();
  const [name, setName] = useState('');
  const [kind, setKind] = useState<'app' | 'token'>('app');
  const [readOnly, setReadOnly] = useState(false);
  const [oneFolder, setOneFolder] = useState(false);
  const [path, setPath] = useState('/');
  const [life, setLife] = useState<string>(String(lives[2]));
  const [missing, setMissing] = useState(false);
  const folder = useFolder(path, { key: 'name', order: 'asc' });
  const folderId = folder.data?.pages[0]?.folder.id;
  const create = useChange({
    run: async (sure: Sure) =>
      body(
        await api.POST('/api/v1/me/keys', {
          body: {
            name: name.trim(),
            kind,
            readOnly,
            expiresIn: Number(life),
            ...(oneFolder && path !== '/' && folderId !== undefined && { folderId }),
            ...sure,
          },
        }),
      ),
    reads: [accountKeys.accessKeys],
  });
  const submit = (sure: Sure) => {
    setMissing(name.trim() === '');
    if (name.trim() !== '') create.mutate(sure, { onSuccess: onCreated });
  };
  return (
    <SureDialog
      title={t('keys.create')}
      submit={t('keys.submit')}
      pending={create.isPending || (oneFolder && folder.isPending)}
      error={create.error}
      fields={['name']}
      onSubmit={submit}
      onClose={onClose}
    >
      <TextInput
        label={t('common.name')}
        description={t('keys.nameHint')}
        value={name}
        onChange={(event) => setName(event.currentTarget.value)}
        error={missing ? t('name.empty') : faultsOf(create.error, ['name']).at.name}
        maxLength={64}
        autoComplete="off"
        data-autofocus
      />
      <Radio.Group
        label={t('keys.kind')}
        value={kind}
        onChange={(value) => setKind(value === 'token' ? 'token' : 'app')}
      >
        <Stack gap="xs" mt={6}>
          <Radio value="app" label={t('keys.app')} description={t('keys.appHint')} />
          <Radio value="token" label={t('keys.token')} description={t('keys.tokenHint')} />
        </Stack>
      </Radio.Group>
      <Checkbox
        label={t('keys.readOnly')}
        description={t('keys.readOnlyHint')}
        checked={readOnly}
        onChange={(event) => setReadOnly(event.currentTarget.checked)}
      />
      <Checkbox
        label={t('keys.oneFolder')}
        description={t('keys.oneFolderHint')}
        checked={oneFolder}
        onChange={(event) => setOneFolder(event.currentTarget.checked)}
      />
      {oneFolder && <FolderPicker path={path} onPath={setPath} moving={[]} />}
      <Select
        label={t('keys.expires')}
        value={life}
        onChange={(value) => setLife(value ?? '0')}
        allowDeselect={false}
        data={lives.map((days) => ({
          value: String(days),
          label: days === 0 ? t('keys.never') : t('common.days', { count: days }),
        }))}
      />
    </SureDialog>
  );
}
