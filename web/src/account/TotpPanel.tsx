import { Badge, Button } from '@mantine/core';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { api, body } from '../api/client';
import { Panel } from '../app/Panel';
import { useChange } from '../app/useChange';
import { accountKeys } from './keys';
import { RecoveryCodesDialog } from './RecoveryCodesDialog';
import { useSessionUser } from './session';
import { SureDialog, type Sure } from './SureDialog';
import { TotpDialog, type TotpSecret } from './TotpDialog';

type Asking =
  | { what: 'turnOn' }
  | { what: 'confirm'; secret: TotpSecret }
  | { what: 'turnOff' }
  | { what: 'newCodes' }
  | { what: 'codes'; codes: string[] };

/** The second factor: an authenticator app, and recovery codes for when it is lost. */
export function TotpPanel() {
  const { t } = useTranslation();
  const { totp, recoveryCodes } = useSessionUser();
  const [asking, setAsking] = useState<Asking>();
  const close = () => setAsking(undefined);
  const begin = useChange({
    run: async (sure: Sure) => body(await api.POST('/api/v1/me/totp', { body: sure })),
    reads: [],
  });
  const end = useChange({
    run: (sure: Sure) => api.POST('/api/v1/me/totp/delete', { body: sure }),
    reads: [accountKeys.me],
    done: () => t('totp.turnedOff'),
  });
  const renew = useChange({
    run: async (sure: Sure) => body(await api.POST('/api/v1/me/recovery-codes', { body: sure })),
    reads: [accountKeys.me],
  });
  const ask = (what: 'turnOn' | 'turnOff' | 'newCodes') => () => {
    for (const change of [begin, end, renew]) change.reset();
    setAsking({ what });
  };
  return (
    <Panel
      title={t('totp.title')}
      text={t(totp ? 'totp.isOn' : 'totp.text')}
      actions={
        totp ? (
          <>
            <Button variant="default" onClick={ask('newCodes')}>
              {t('totp.newCodes')}
            </Button>
            <Button variant="light" color="red" onClick={ask('turnOff')}>
              {t('totp.turnOff')}
            </Button>
          </>
        ) : (
          <Button variant="default" onClick={ask('turnOn')}>
            {t('totp.turnOn')}
          </Button>
        )
      }
    >
      {totp && (
        <Badge variant="light" color={recoveryCodes < 3 ? 'red' : 'lagoon'} tt="none">
          {t('totp.codesLeft', { count: recoveryCodes })}
        </Badge>
      )}
      {asking?.what === 'turnOn' && (
        <SureDialog
          title={t('totp.turnOn')}
          text={t('totp.turnOnText')}
          submit={t('common.next')}
          pending={begin.isPending}
          error={begin.error}
          onSubmit={(sure) => begin.mutate(sure, { onSuccess: (secret) => setAsking({ what: 'confirm', secret }) })}
          onClose={close}
        />
      )}
      {asking?.what === 'confirm' && (
        <TotpDialog secret={asking.secret} onCodes={(codes) => setAsking({ what: 'codes', codes })} onClose={close} />
      )}
      {asking?.what === 'turnOff' && (
        <SureDialog
          title={t('totp.turnOff')}
          text={t('totp.turnOffText')}
          submit={t('totp.turnOff')}
          danger
          pending={end.isPending}
          error={end.error}
          onSubmit={(sure) => end.mutate(sure, { onSuccess: close })}
          onClose={close}
        />
      )}
      {asking?.what === 'newCodes' && (
        <SureDialog
          title={t('totp.newCodes')}
          text={t('totp.newCodesText')}
          submit={t('totp.newCodes')}
          danger
          pending={renew.isPending}
          error={renew.error}
          onSubmit={(sure) => renew.mutate(sure, { onSuccess: ({ codes }) => setAsking({ what: 'codes', codes }) })}
          onClose={close}
        />
      )}
      {asking?.what === 'codes' && <RecoveryCodesDialog codes={asking.codes} onClose={close} />}
    </Panel>
  );
}
