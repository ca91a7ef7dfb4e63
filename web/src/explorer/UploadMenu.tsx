import { Menu } from '@mantine/core';
import { IconFilePlus, IconFolderUp } from '@tabler/icons-react';
import { useRef, type ChangeEvent, type ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { fromInput, fromPicker, type Dropped } from '../uploads/dropped';
import { canPick } from '../uploads/handles';

interface UploadMenuProps {
  /** The button that opens the menu. */
  children: ReactNode;
  onUpload: (dropped: Promise<Dropped>) => void;
}

/** Picks files, or a folder, from the device. */
export function UploadMenu({ children, onUpload }: UploadMenuProps) {
  const { t } = useTranslation();
  const files = useRef<HTMLInputElement>(null);
  const folder = useRef<HTMLInputElement>(null);
  const take = (event: ChangeEvent<HTMLInputElement>) => {
    const { files: list } = event.currentTarget;
    if (list && list.length > 0) onUpload(Promise.resolve(fromInput(list)));
    // So that choosing the same file again is a change.
    event.currentTarget.value = '';
  };
  // The browser's own dialog gives more: files that can be opened again after the page was loaded again.
  const pick = () => {
    if (canPick()) onUpload(fromPicker());
    else files.current?.click();
  };
  return (
    <>
      <Menu position="bottom-start">
        <Menu.Target>{children}</Menu.Target>
        <Menu.Dropdown>
          <Menu.Item leftSection={<IconFilePlus size={18} />} onClick={pick}>
            {t('explorer.uploadFiles')}
          </Menu.Item>
          <Menu.Item leftSection={<IconFolderUp size={18} />} onClick={() => folder.current?.click()}>
            {t('explorer.uploadFolder')}
          </Menu.Item>
        </Menu.Dropdown>
      </Menu>
      <input ref={files} type="file" multiple hidden onChange={take} aria-label={t('explorer.uploadFiles')} />
      <input
        ref={folder}
        type="file"
        webkitdirectory=""
        hidden
        onChange={take}
        aria-label={t('explorer.uploadFolder')}
      />
    </>
  );
}
