import { ActionIcon, Button, Group, Menu, Text, Tooltip } from '@mantine/core';
import { IconArrowsSort, IconChecks, IconFolderPlus, IconKeyboard, IconUpload } from '@tabler/icons-react';
import { useTranslation } from 'react-i18next';
import type { Dropped } from '../uploads/dropped';
import { UploadMenu } from './UploadMenu';
import type { Sort, SortKey } from './queries';

interface FolderToolbarProps {
  /** Undefined while it is not known. */
  total: number | undefined;
  sort: Sort;
  onSort: (sort: Sort) => void;
  onNewFolder: () => void;
  onUpload: (dropped: Promise<Dropped>) => void;
  onSelectAll: () => void;
  onHelp: () => void;
}

/** What can be done with the folder itself. */
export function FolderToolbar({ total, sort, onSort, onNewFolder, onUpload, onSelectAll, onHelp }: FolderToolbarProps) {
  const { t } = useTranslation();
  return (
    <Group gap="xs" wrap="nowrap" mih={40}>
      <UploadMenu onUpload={onUpload}>
        <Button leftSection={<IconUpload size={18} />}>{t('explorer.upload')}</Button>
      </UploadMenu>
      <Button variant="default" leftSection={<IconFolderPlus size={18} />} onClick={onNewFolder} visibleFrom="xs">
        {t('explorer.newFolder')}
      </Button>
      <ActionIcon
        variant="default"
        size={36}
        onClick={onNewFolder}
        aria-label={t('explorer.newFolder')}
        hiddenFrom="xs"
      >
        <IconFolderPlus size={18} />
      </ActionIcon>
      <Text size="sm" c="dimmed" ml="auto" role="status" style={{ whiteSpace: 'nowrap' }}>
        {total === undefined ? '' : t('explorer.total', { count: total })}
      </Text>
      <SortMenu sort={sort} onSort={onSort} onSelectAll={onSelectAll} />
      <Tooltip label={t('app.help')}>
        <ActionIcon
          variant="subtle"
          color="gray"
          size={36}
          onClick={onHelp}
          aria-label={t('app.help')}
          visibleFrom="sm"
        >
          <IconKeyboard size={20} stroke={1.7} />
        </ActionIcon>
      </Tooltip>
    </Group>
  );
}

/** The table's head, for where there is no room for one. */
function SortMenu({ sort, onSort, onSelectAll }: Pick<FolderToolbarProps, 'sort' | 'onSort' | 'onSelectAll'>) {
  const { t } = useTranslation();
  const keys: SortKey[] = ['name', 'size', 'modified'];
  return (
    <Menu position="bottom-end">
      <Menu.Target>
        <ActionIcon variant="subtle" color="gray" size={36} aria-label={t('explorer.sort')} hiddenFrom="sm">
          <IconArrowsSort size={20} stroke={1.7} />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>{t('explorer.sortBy')}</Menu.Label>
        <Menu.RadioGroup
          value={sort.key}
          onChange={(key) => onSort({ ...sort, key: keys.find((each) => each === key) ?? 'name' })}
        >
          {keys.map((key) => (
            <Menu.RadioItem key={key} value={key}>
              {t(`explorer.${key}`)}
            </Menu.RadioItem>
          ))}
        </Menu.RadioGroup>
        <Menu.Divider />
        <Menu.RadioGroup
          value={sort.order}
          onChange={(order) => onSort({ ...sort, order: order === 'desc' ? 'desc' : 'asc' })}
        >
          <Menu.RadioItem value="asc">{t('explorer.ascending')}</Menu.RadioItem>
          <Menu.RadioItem value="desc">{t('explorer.descending')}</Menu.RadioItem>
        </Menu.RadioGroup>
        <Menu.Divider />
        <Menu.Item leftSection={<IconChecks size={16} />} onClick={onSelectAll}>
          {t('explorer.selectAll')}
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}
