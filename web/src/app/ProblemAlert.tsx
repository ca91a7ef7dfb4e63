import { Alert } from '@mantine/core';
import { IconAlertCircle } from '@tabler/icons-react';
import { useTranslation } from 'react-i18next';
import type { Problem } from '../api/problem';
import { useFormat } from '../i18n/format';
import { problemLine } from './notices';

/** Why a form was not taken, for what stands at none of its fields. */
export function ProblemAlert({ problem }: { problem: Problem | undefined }) {
  const { t } = useTranslation();
  const format = useFormat();
  if (!problem) return null;
  const wait = problem.status === 429 && problem.retryAfter;
  return (
    <Alert color="red" icon={<IconAlertCircle />} role="alert">
      {problemLine(problem)}
      {wait ? ` ${t('common.retryIn', { time: format.duration(wait / 1000) })}` : ''}
    </Alert>
  );
}
