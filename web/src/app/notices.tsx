import { Button, Code, Group, Stack, Text } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { IconAlertTriangle, IconCheck } from '@tabler/icons-react';
import i18next from 'i18next';
import type { Problem } from '../api/problem';
import { endsSession, toProblem } from '../api/problem';

/** What went wrong in the reader's words: ours for a code that we know, else the server's own. */
export function problemText(problem: Problem): string {
  return i18next.t(`problems.${problem.code}`, problem.detail || i18next.t('problems.unexpected'));
}

/** The same with the request's id where the server is at fault, for places with room for one line. */
export function problemLine(problem: Problem): string {
  const id = problem.status >= 500 && problem.requestId;
  return id ? `${problemText(problem)} (${i18next.t('common.requestId', { id })})` : problemText(problem);
}

/** Shows a failure. A session's end shows itself: the page leads to the sign-in. */
export function noticeProblem(title: string, error: unknown): void {
  if (endsSession(error)) return;
  const problem = toProblem(error);
  notifications.show({
    color: 'red',
    icon: <IconAlertTriangle size={18} />,
    title,
    autoClose: 12_000,
    closeButtonProps: { 'aria-label': i18next.t('common.close') },
    message: (
      <Stack gap={4}>
        <Text size="sm">{problemText(problem)}</Text>
        {problem.requestId && (
          <Code fz="xs" style={{ alignSelf: 'flex-start' }}>
            {i18next.t('common.requestId', { id: problem.requestId })}
          </Code>
        )}
      </Stack>
    ),
  });
}

/** Says something that is neither a success nor the server's doing. */
export function notice(title: string, message: string): void {
  notifications.show({
    color: 'yellow',
    icon: <IconAlertTriangle size={18} />,
    title,
    message,
    autoClose: 12_000,
    closeButtonProps: { 'aria-label': i18next.t('common.close') },
  });
}

/** Says that something was done, with a way back where there is one. */
export function noticeDone(message: string, undo?: () => void): void {
  const id = notifications.show({
    color: 'lagoon',
    icon: <IconCheck size={18} />,
    autoClose: undo ? 10_000 : 5_000,
    closeButtonProps: { 'aria-label': i18next.t('common.close') },
    message: (
      <Group justify="space-between" wrap="nowrap" gap="xs">
        <Text size="sm" style={{ overflowWrap: 'anywhere' }}>
          {message}
        </Text>
        {undo && (
          <Button
            variant="light"
            size="compact-sm"
            style={{ flexShrink: 0 }}
            onClick={() => {
              notifications.hide(id);
              undo();
            }}
          >
            {i18next.t('common.undo')}
          </Button>
        )}
      </Group>
    ),
  });
}

/** Shows what failed of many. */
export function noticeSome(title: string, failed: readonly { error: unknown }[], total: number): void {
  const [first] = failed;
  if (!first) return;
  if (total === 1) {
    noticeProblem(title, first.error);
    return;
  }
  const reason = problemText(toProblem(first.error));
  noticeProblem(`${title}: ${i18next.t('common.failed', { count: failed.length, total, reason })}`, first.error);
}
