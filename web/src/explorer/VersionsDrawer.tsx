import { ActionIcon, Badge, Button, Drawer, Group, Skeleton, Stack, Text } from '@mantine/core';
import { useInfiniteQuery } from '@tanstack/react-query';
import { IconDownload } from '@tabler/icons-react';
import { useTranslation } from 'react-i18next';
import { api, body, type Node } from '../api/client';
import { contentLink } from '../api/links';
import { toProblem } from '../api/problem';
import { problemText } from '../app/notices';
import { useFormat } from '../i18n/format';
import { explorerKeys } from './queries';
import classes from './VersionsDrawer.module.css';

/** A file's contents over time, the newest first. */
export function VersionsDrawer({ node, onClose }: { node: Node; onClose: () => void }) {
  const { t } = useTranslation();
  const format = useFormat();
  const versions = useInfiniteQuery({
    queryKey: explorerKeys.versions(node.id),
    queryFn: async ({ pageParam, signal }) =>
      body(
        await api.GET('/api/v1/files/{id}/versions', {
          params: { path: { id: node.id }, query: { limit: 50, ...(pageParam && { cursor: pageParam }) } },
          signal,
        }),
      ),
    initialPageParam: '',
    getNextPageParam: (page) => page.nextCursor,
    staleTime: 0,
  });
  const items = versions.data?.pages.flatMap((page) => page.items) ?? [];
  return (
    <Drawer
      opened
      onClose={onClose}
      position="right"
      title={t('versions.title', { name: node.name })}
      closeButtonProps={{ 'aria-label': t('common.close') }}
    >
      {versions.isError && <Text c="red">{problemText(toProblem(versions.error))}</Text>}
      {versions.isPending && (
        <Stack>
          <Skeleton height={64} radius="md" />
          <Skeleton height={64} radius="md" />
        </Stack>
      )}
      <ol className={classes.list}>
        {items.map((item, at) => (
          <li key={item.version} className={classes.item}>
            <div className={classes.text}>
              <Group gap="xs">
                <Text fw={600}>{t('versions.version', { version: item.version })}</Text>
                {at === 0 && <Badge variant="light">{t('versions.current')}</Badge>}
              </Group>
              <Text size="sm" c="dimmed">
                {format.size(item.size)} · {format.momentFully(item.createdAt)}
              </Text>
              <Text size="xs" c="dimmed" ff="monospace" truncate title={item.digest}>
                {t('versions.digest', { digest: item.digest })}
              </Text>
            </div>
            <ActionIcon
              component="a"
              href={contentLink(node.id, item.version)}
              download
              variant="subtle"
              size={40}
              aria-label={t('versions.download', { version: item.version })}
            >
              <IconDownload size={20} />
            </ActionIcon>
          </li>
        ))}
      </ol>
      {versions.hasNextPage && (
        <Button
          variant="subtle"
          fullWidth
          loading={versions.isFetchingNextPage}
          onClick={() => void versions.fetchNextPage()}
        >
          {t('common.more')}
        </Button>
      )}
    </Drawer>
  );
}
