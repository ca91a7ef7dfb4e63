import { ActionIcon, Button, CloseButton, Group, Text } from '@mantine/core';
import { useTranslation } from 'react-i18next';
import type { Node } from '../api/client';
import { actionsFor, nodeActions, type NodeAction } from './nodeActions';
import classes from './SelectionBar.module.css';

interface SelectionBarProps {
  selected: readonly Node[];
  /** While "select all" still reads the folder. */
  progress: { done: number; total: number } | undefined;
  onAction: (action: NodeAction) => void;
  onClear: () => void;
}

/** What can be done with what is selected. */
export function SelectionBar({ selected, progress, onAction, onClear }: SelectionBarProps) {
  const { t } = useTranslation();
  const actions = progress ? [] : actionsFor(selected).filter((action) => action !== 'open');
  return (
    <div className={classes.bar} role="toolbar" aria-label={t('explorer.actions')}>
      <CloseButton onClick={onClear} aria-label={t('explorer.clearSelection')} />
      <Text size="sm" fw={600} role="status" className={classes.count}>
        {progress ? t('explorer.selecting', progress) : t('explorer.selected', { count: selected.length })}
      </Text>
      <Group gap={4} ml="auto" wrap="nowrap">
        {actions.map((action) => {
          const { icon: Icon, label } = nodeActions[action];
          return (
            <span key={action}>
              <Button
                variant="subtle"
                size="sm"
                leftSection={<Icon size={18} />}
                onClick={() => onAction(action)}
                visibleFrom="md"
              >
                {t(label)}
              </Button>
              <ActionIcon
                variant="subtle"
                size={36}
                onClick={() => onAction(action)}
                aria-label={t(label)}
                hiddenFrom="md"
              >
                <Icon size={20} />
              </ActionIcon>
            </span>
          );
        })}
      </Group>
    </div>
  );
}
