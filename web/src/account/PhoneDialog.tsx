import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { api, body } from '../api/client';
import { faultsOf } from '../app/faults';
import { useChange } from '../app/useChange';
import { CodeFields } from './CodeFields';
import { useCodes } from './codes';
import { accountKeys } from './keys';
import { SureDialog, type Sure } from './SureDialog';

/** Makes a phone this account's, by a code that is sent to it. */
export function PhoneDialog({ onClose }: { onClose: () => void }) {
  const { t } = useTranslation();
  const [phone, setPhone] = useState('');
  const [code, setCode] = useState('');
  const [missing, setMissing] = useState(false);
  const codes = useCodes(async (to) => body(await api.POST('/api/v1/me/phone/code', { body: { phone: to } })));
  const save = useChange({
    run: (sure: Sure) =>
      api.PUT('/api/v1/me/phone', {
        body: { phone: phone.trim(), code, ...codes.requestOf(phone.trim()), ...sure },
      }),
    reads: [accountKeys.me],
    done: () => t('account.saved'),
  });
  const submit = (sure: Sure) => {
    setMissing(code.length !== 6);
    if (code.length === 6) save.mutate(sure, { onSuccess: onClose });
  };
  const { at } = faultsOf(save.error, ['phone', 'code']);
  return (
    <SureDialog
      title={t('account.phoneTitle')}
      text={t('account.phoneDialogText')}
      submit={t('common.save')}
      pending={save.isPending}
      error={save.error}
      fields={['phone', 'code']}
      onSubmit={submit}
      onClose={onClose}
    >
      <CodeFields
        codes={codes}
        phone={phone}
        code={code}
        onPhone={setPhone}
        onCode={setCode}
        errors={{ phone: at.phone, code: missing ? t('signIn.codeNeeded') : at.code }}
      />
    </SureDialog>
  );
}
