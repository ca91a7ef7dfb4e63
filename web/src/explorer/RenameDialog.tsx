import { useTranslation } from 'react-i18next';
import type { Node } from '../api/client';
import { Problem } from '../api/problem';
import { noticeProblem } from '../app/notices';
import { useRename } from './mutations';
import { NameDialog } from './NameDialog';

export function RenameDialog({ node, onClose }: { node: Node; onClose: () => void }) {
  const { t } = useTranslation();
  const rename = useRename(node);
  const onError = (error: Error) => {
    // A name that is taken can be changed right here; anything else is about the node.
    const here = error instanceof Problem && (error.status === 409 || error.status === 400);
    if (here) return;
    noticeProblem(t('problems.whileRenaming'), error);
    onClose();
  };
  return (
    <NameDialog
      title={t('rename.title')}
      label={t('rename.label')}
      submit={t('rename.submit')}
      initial={node.name}
      error={rename.error}
      pending={rename.isPending}
      onSubmit={(name) => rename.mutate(name, { onSuccess: onClose, onError })}
      onClose={onClose}
    />
  );
}
