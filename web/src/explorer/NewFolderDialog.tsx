import { useTranslation } from 'react-i18next';
import { useCreateFolder } from './mutations';
import { NameDialog } from './NameDialog';

export function NewFolderDialog({ folder, onClose }: { folder: string; onClose: () => void }) {
  const { t } = useTranslation();
  const create = useCreateFolder(folder);
  return (
    <NameDialog
      title={t('newFolder.title')}
      label={t('newFolder.label')}
      placeholder={t('newFolder.placeholder')}
      submit={t('newFolder.submit')}
      initial=""
      error={create.error}
      pending={create.isPending}
      onSubmit={(name) => create.mutate(name, { onSuccess: onClose })}
      onClose={onClose}
    />
  );
}
