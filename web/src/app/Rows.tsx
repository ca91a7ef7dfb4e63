import { Button, Center, Skeleton, Stack, Text } from '@mantine/core';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { toProblem } from '../api/problem';
import { problemLine } from './notices';
import classes from './Rows.module.css';

/** What a list needs to know of the query that reads it. */
interface Reading {
  isPending: boolean;
  isError: boolean;
  error: Error | null;
  refetch: () => unknown;
  hasNextPage?: boolean;
  isFetchingNextPage?: boolean;
  fetchNextPage?: () => unknown;
}

interface RowsProps<T> {
  /** What the list is of, for those who do not see it. */
  label: string;
  query: Reading;
  items: readonly T[];
  /** What to say when there is nothing. */
  empty: string;
  keyOf: (item: T) => string;
  row: (item: T) => ReactNode;
}

/** A list in each of its states: being read, not readable, empty, there, and there in part. */
export function Rows<T>({ label, query, items, empty, keyOf, row }: RowsProps<T>) {
  const { t } = useTranslation();
  if (query.isPending) {
    return (
      <Stack gap="sm" aria-busy aria-label={t('common.loading')}>
        {[1, 2, 3].map((n) => (
          <Skeleton key={n} height={44} radius="md" />
        ))}
      </Stack>
    );
  }
  if (query.isError && items.length === 0) {
    return (
      <Stack align="flex-start" gap="sm" role="alert">
        <Text size="sm">
          {t('problems.whileLoading')}: {problemLine(toProblem(query.error))}
        </Text>
        <Button variant="default" size="xs" onClick={() => query.refetch()}>
          {t('common.retry')}
        </Button>
      </Stack>
    );
  }
  if (items.length === 0) {
    return (
      <Text size="sm" c="dimmed">
        {empty}
      </Text>
    );
  }
  return (
    <>
      <ul aria-label={label} className={classes.list}>
        {items.map((item) => (
          <li key={keyOf(item)} className={classes.row}>
            {row(item)}
          </li>
        ))}
      </ul>
      {query.hasNextPage && (
        <Center mt="sm">
          <Button variant="subtle" loading={query.isFetchingNextPage ?? false} onClick={() => query.fetchNextPage?.()}>
            {t('common.more')}
          </Button>
        </Center>
      )}
    </>
  );
}

interface RowTextProps {
  icon?: ReactNode;
  title: ReactNode;
  /** Short words about it, beside the title. */
  badges?: ReactNode;
  /** Less important lines; what is empty is left out. */
  lines?: readonly (ReactNode | false | undefined)[];
  actions?: ReactNode;
}

/** What a row says, and at its end what can be done with it. */
export function RowText({ icon, title, badges, lines = [], actions }: RowTextProps) {
  return (
    <>
      {icon && (
        <span className={classes.icon} aria-hidden>
          {icon}
        </span>
      )}
      <div className={classes.words}>
        <div className={classes.title}>
          <Text component="span" size="sm" fw={600} className={classes.name}>
            {title}
          </Text>
          {badges}
        </div>
        {lines.map(
          (line, at) =>
            line && (
              // The lines of a row keep their places.
              <Text key={at} size="xs" c="dimmed" className={classes.line}>
                {line}
              </Text>
            ),
        )}
      </div>
      {actions && <div className={classes.actions}>{actions}</div>}
    </>
  );
}
