import { Button, Skeleton, Stack, Text, Title } from '@mantine/core';
import { IconAlertTriangle, IconTrash, IconTrashX } from '@tabler/icons-react';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import type { Node } from '../api/client';
import { toProblem } from '../api/problem';
import { Message } from '../app/Message';
import { problemLine } from '../app/notices';
import { usePageTitle } from '../app/usePageTitle';
import { ConfirmDialog } from '../app/ConfirmDialog';
import { isParentGone, useEmptyTrash, usePurge, useRestore, useTrash } from './queries';
import { RestoreDialog } from './RestoreDialog';
import classes from './TrashPage.module.css';
import { TrashTable } from './TrashTable';

/** What was deleted: take it back, or let it go for ever. */
export function TrashPage() {
  const { t } = useTranslation();
  const trash = useTrash();
  const restore = useRestore();
  const purge = usePurge();
  const empty = useEmptyTrash();
  const [asking, setAsking] = useState<{ purge: Node } | { restore: Node } | 'empty'>();
  const done = () => setAsking(undefined);
  usePageTitle(t('trash.title'));

  return (
    <>
      <header className={classes.head}>
        <Title order={1} className={classes.title}>
          {t('trash.title')}
        </Title>
        <Text size="sm" c="dimmed" role="status" className={classes.total}>
          {trash.data ? t('explorer.total', { count: trash.total }) : ''}
        </Text>
        {trash.nodes.length > 0 && (
          <Button variant="light" color="red" leftSection={<IconTrashX size={18} />} onClick={() => setAsking('empty')}>
            {t('trash.empty')}
          </Button>
        )}
      </header>
      {trash.isError && !trash.data ? (
        <Message
          icon={<IconAlertTriangle size={44} />}
          title={t('trash.errorTitle')}
          text={problemLine(toProblem(trash.error))}
        >
          <Button onClick={() => void trash.refetch()}>{t('common.retry')}</Button>
        </Message>
      ) : trash.isPending ? (
        <Stack px="xl" aria-busy>
          {[1, 2, 3, 4].map((n) => (
            <Skeleton key={n} height={40} radius="md" />
          ))}
        </Stack>
      ) : trash.nodes.length === 0 ? (
        <Message
          icon={<IconTrash size={44} stroke={1.6} />}
          title={t('trash.emptyTitle')}
          text={t('trash.emptyText')}
        />
      ) : (
        <TrashTable
          trash={trash}
          onRestore={(node) =>
            restore.mutate(
              { node },
              {
                onError: (error) => {
                  if (isParentGone(error)) setAsking({ restore: node });
                },
              },
            )
          }
          onPurge={(node) => setAsking({ purge: node })}
        />
      )}
      {asking === 'empty' && (
        <ConfirmDialog
          title={t('trash.confirmEmptyTitle')}
          text={t('trash.confirmEmptyText', { count: trash.total })}
          submit={t('trash.empty')}
          pending={empty.isPending}
          onSubmit={() => empty.mutate(undefined, { onSettled: done })}
          onClose={done}
        />
      )}
      {typeof asking === 'object' && 'restore' in asking && <RestoreDialog node={asking.restore} onClose={done} />}
      {typeof asking === 'object' && 'purge' in asking && (
        <ConfirmDialog
          title={t('trash.purgeTitle', { name: asking.purge.name })}
          text={t('trash.purgeText')}
          submit={t('trash.deleteForever')}
          pending={purge.isPending}
          onSubmit={() => purge.mutate(asking.purge, { onSettled: done })}
          onClose={done}
        />
      )}
    </>
  );
}
