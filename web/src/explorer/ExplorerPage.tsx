import { useDisclosure, useHotkeys } from '@mantine/hooks';
import { useTranslation } from 'react-i18next';
import { useLocation } from 'react-router';
import { NotFoundPage } from '../app/ErrorPages';
import { usePageTitle } from '../app/usePageTitle';
import { FolderView } from './FolderView';
import { KeyboardHelp } from './KeyboardHelp';
import { baseName, folderOfAddress } from './path';

/** The folder that the address names. */
export function ExplorerPage() {
  const { t } = useTranslation();
  const { pathname, key } = useLocation();
  const path = folderOfAddress(pathname);
  const [help, { open, close }] = useDisclosure(false);
  // "?" sits behind Shift on some keyboards and not on others.
  useHotkeys([
    ['?', open],
    ['shift+?', open],
  ]);
  usePageTitle(baseName(path ?? '') || t('explorer.root'));

  if (path === undefined) return <NotFoundPage />;
  return (
    <>
      {/* A new folder starts afresh: nothing selected, scrolled to its top. */}
      <FolderView key={`${path} ${key}`} path={path} onHelp={open} />
      <KeyboardHelp opened={help} onClose={close} />
    </>
  );
}
