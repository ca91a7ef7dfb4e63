import { Button } from '@mantine/core';
import { IconCloudOff } from '@tabler/icons-react';
import { useEffect } from 'react';
import { useTranslation } from 'react-i18next';
import { Navigate, Outlet, useLocation } from 'react-router';
import { toProblem } from '../api/problem';
import { Message } from '../app/Message';
import { problemLine } from '../app/notices';
import { PageLoader } from '../app/PageLoader';
import { useMe } from './session';

// Signed in once: then a missing session means that it ended, and the sign-in page says so.
let wasSignedIn = false;

export function leftOnPurpose(): void {
  wasSignedIn = false;
}

/** Shows the pages below for a signed-in account, and leads everybody else to the sign-in and back. */
export function RequireSession() {
  const { t } = useTranslation();
  const location = useLocation();
  const me = useMe();
  const signedIn = Boolean(me.data);
  useEffect(() => {
    if (signedIn) wasSignedIn = true;
  }, [signedIn]);

  if (me.data === null) {
    const search = new URLSearchParams({ next: location.pathname + location.search });
    if (wasSignedIn) search.set('expired', '1');
    return <Navigate to={{ pathname: '/signin', search: `?${search.toString()}` }} replace />;
  }
  if (me.data) return <Outlet />;
  if (me.isError) {
    return (
      <Message
        icon={<IconCloudOff size={44} />}
        title={t('problems.whileLoading')}
        text={problemLine(toProblem(me.error))}
      >
        <Button onClick={() => void me.refetch()}>{t('common.retry')}</Button>
      </Message>
    );
  }
  return <PageLoader />;
}
