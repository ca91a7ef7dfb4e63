import { Alert, Button, Group, Modal, Stack } from '@mantine/core';
import { IconDownload, IconEyeOff } from '@tabler/icons-react';
import { useTranslation } from 'react-i18next';
import { CopyButton } from '../app/Secret';
import classes from './RecoveryCodesDialog.module.css';

/** Shows recovery codes the only time that they are known. */
export function RecoveryCodesDialog({ codes, onClose }: { codes: string[]; onClose: () => void }) {
  const { t } = useTranslation();
  const text = `${codes.join('\n')}\n`;
  return (
    <Modal opened onClose={onClose} title={t('totp.codes')} closeOnClickOutside={false} withCloseButton={false}>
      <Stack>
        <Alert color="lagoon" icon={<IconEyeOff />}>
          {t('totp.codesText')}
        </Alert>
        <ul aria-label={t('totp.codes')} className={classes.list}>
          {codes.map((code) => (
            <li key={code}>{code}</li>
          ))}
        </ul>
        <Group>
          <CopyButton value={text} />
          <Button
            variant="light"
            leftSection={<IconDownload size={18} aria-hidden />}
            onClick={() => saveText('gopan-recovery-codes.txt', text)}
          >
            {t('explorer.download')}
          </Button>
        </Group>
      </Stack>
      <Group justify="flex-end" mt="lg">
        <Button onClick={onClose}>{t('totp.kept')}</Button>
      </Group>
    </Modal>
  );
}

function saveText(name: string, text: string): void {
  const address = URL.createObjectURL(new Blob([text], { type: 'text/plain' }));
  const anchor = document.createElement('a');
  anchor.href = address;
  anchor.download = name;
  anchor.click();
  URL.revokeObjectURL(address);
}
