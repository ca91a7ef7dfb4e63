import { Button } from '@mantine/core';
import { IconDownload } from '@tabler/icons-react';
import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { api, apiPrefix } from '../api/client';
import { download } from '../api/links';
import { noticeDone } from '../app/notices';
import { Panel } from '../app/Panel';
import { useChange } from '../app/useChange';
import { usePageTitle } from '../app/usePageTitle';
import { useUploads } from '../uploads/UploadsProvider';
import { leftOnPurpose } from './RequireSession';
import { forgetSession } from './session';
import { SureDialog, type Sure } from './SureDialog';

/** Take along what is known of the account, or end it. */
export function DataPage() {
  const { t } = useTranslation();
  const [asking, setAsking] = useState(false);
  const queries = useQueryClient();
  const { uploader } = useUploads();
  usePageTitle(t('account.data'));
  const remove = useChange({
    run: (sure: Sure) => api.POST('/api/v1/me/delete', { body: sure }),
    reads: [],
  });
  const left = () => {
    leftOnPurpose();
    uploader.engine.cancelAll();
    forgetSession(queries);
    noticeDone(t('account.deleted'));
  };
  return (
    <>
      <Panel
        title={t('account.export')}
        text={t('account.exportText')}
        actions={
          <Button
            variant="default"
            leftSection={<IconDownload size={18} aria-hidden />}
            onClick={() => download([`${apiPrefix}/me/export`])}
          >
            {t('explorer.download')}
          </Button>
        }
      />
      <Panel
        title={t('account.delete')}
        text={t('account.deleteText')}
        actions={
          <Button variant="light" color="red" onClick={() => setAsking(true)}>
            {t('account.delete')}
          </Button>
        }
      />
      {asking && (
        <SureDialog
          title={t('account.deleteTitle')}
          text={t('account.deleteConfirm')}
          submit={t('account.delete')}
          danger
          pending={remove.isPending}
          error={remove.error}
          onSubmit={(sure) => remove.mutate(sure, { onSuccess: left })}
          onClose={() => setAsking(false)}
        />
      )}
    </>
  );
}
