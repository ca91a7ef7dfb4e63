import { Alert } from '@mantine/core';
import { useTranslation } from 'react-i18next';
import { useSearchParams } from 'react-router';
import { usePageTitle } from '../app/usePageTitle';
import { IdentitiesPanel } from './IdentitiesPanel';
import { useSignInMethods } from './methods';
import { PasskeysPanel } from './PasskeysPanel';
import { PasswordPanel } from './PasswordPanel';
import { TotpPanel } from './TotpPanel';

/** Everything by which the account can be entered. Another site's page comes back here after linking. */
export function SecurityPage() {
  const { t } = useTranslation();
  const [search, setSearch] = useSearchParams();
  const { data: methods } = useSignInMethods();
  const problem = search.get('problem');
  const linked = search.get('linked');
  const title = methods?.providers.find(({ name }) => name === linked)?.title ?? linked;
  usePageTitle(t('account.security'));
  return (
    <>
      {(problem ?? linked) && (
        <Alert
          color={problem ? 'red' : 'lagoon'}
          role={problem ? 'alert' : 'status'}
          withCloseButton
          closeButtonLabel={t('common.close')}
          onClose={() => setSearch({}, { replace: true })}
        >
          {problem ? t(`problems.${problem}`, t('account.linkFailed')) : t('account.linked', { title })}
        </Alert>
      )}
      <PasswordPanel />
      <TotpPanel />
      {methods?.passkeys && <PasskeysPanel />}
      <IdentitiesPanel providers={methods?.providers ?? []} />
    </>
  );
}
