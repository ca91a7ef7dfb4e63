import { TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { api, body } from '../api/client';
import type { components } from '../api/schema.gen';
import { toProblem } from '../api/problem';
import { faultsOf } from '../app/faults';
import { FormDialog } from '../app/FormDialog';
import { useChange } from '../app/useChange';
import { useFormat } from '../i18n/format';
import { adminKeys } from './keys';
import { quotaBytes, quotaText } from './quota';

export type DriveUse = components['schemas']['DriveUse'];

interface QuotaDialogProps {
  user: { id: string; login: string };
  onClose: () => void;
}

/** How much an account may store. */
export function QuotaDialog({ user, onClose }: QuotaDialogProps) {
  const { t } = useTranslation();
  const format = useFormat();
  const [text, setText] = useState<string>();
  const [bad, setBad] = useState(false);
  const path = { params: { path: { userId: user.id } } };
  const drive = useQuery({
    queryKey: [...adminKeys.storage, 'one', user.id],
    queryFn: async () => body(await api.GET('/api/v1/admin/drives/{userId}', path)),
  });
  const change = useChange({
    run: (quota: number) => api.PATCH('/api/v1/admin/drives/{userId}', { ...path, body: { quota } }),
    reads: [adminKeys.storage, adminKeys.events],
    done: () => t('users.changed', { name: user.login }),
  });
  const shown = text ?? (drive.data ? quotaText(drive.data.quota) : '');
  const { at, rest } = faultsOf(change.error, ['quota']);
  const send = () => {
    const quota = quotaBytes(shown);
    setBad(quota === undefined);
    if (quota === undefined || !drive.data) return;
    if (quota === drive.data.quota) onClose();
    else change.mutate(quota, { onSuccess: onClose });
  };
  return (
    <FormDialog
      title={t('storage.quotaOf', { name: user.login })}
      submit={t('common.save')}
      pending={change.isPending || drive.isPending}
      problem={rest ?? (drive.error ? toProblem(drive.error) : undefined)}
      onSubmit={send}
      onClose={onClose}
    >
      <TextInput
        label={t('storage.quota')}
        description={t('storage.quotaHint')}
        value={shown}
        onChange={(event) => setText(event.currentTarget.value)}
        error={bad ? t('storage.badQuota') : at.quota}
        disabled={!drive.data}
        rightSection="GiB"
        rightSectionWidth={52}
        inputMode="decimal"
        maxLength={48}
        autoComplete="off"
        data-autofocus
      />
      {drive.data && t('quota.unlimited', { used: format.size(drive.data.used) })}
    </FormDialog>
  );
}
