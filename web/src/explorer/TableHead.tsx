import { Checkbox, UnstyledButton } from '@mantine/core';
import { IconArrowDown, IconArrowUp } from '@tabler/icons-react';
import { useTranslation } from 'react-i18next';
import classes from './FolderTable.module.css';
import type { Sort, SortKey } from './queries';

interface TableHeadProps {
  sort: Sort;
  onSort: (sort: Sort) => void;
  checked: boolean;
  some: boolean;
  onCheck: (on: boolean) => void;
}

const columns: SortKey[] = ['name', 'size', 'modified'];

export function TableHead({ sort, onSort, checked, some, onCheck }: TableHeadProps) {
  const { t } = useTranslation();
  return (
    <div role="rowgroup" className={classes.head}>
      <div role="row" aria-rowindex={1} className={classes.columns}>
        <div role="columnheader" className={classes.check}>
          <Checkbox
            size="sm"
            aria-label={t('explorer.selectAll')}
            checked={checked}
            indeterminate={some && !checked}
            onChange={(event) => onCheck(event.currentTarget.checked)}
          />
        </div>
        {columns.map((key) => {
          const current = sort.key === key;
          const Arrow = sort.order === 'asc' ? IconArrowUp : IconArrowDown;
          return (
            <div
              key={key}
              role="columnheader"
              aria-sort={current ? (sort.order === 'asc' ? 'ascending' : 'descending') : 'none'}
              className={classes[key]}
            >
              <UnstyledButton
                className={classes.sort}
                data-current={current || undefined}
                onClick={() => onSort({ key, order: current && sort.order === 'asc' ? 'desc' : 'asc' })}
              >
                {t(`explorer.${key}`)}
                {current && <Arrow size={14} aria-hidden />}
              </UnstyledButton>
            </div>
          );
        })}
        <div role="columnheader" className={classes.actions} aria-label={t('explorer.actions')} />
      </div>
    </div>
  );
}
