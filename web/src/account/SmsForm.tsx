import { Button, Stack, Text } from '@mantine/core';
import { useForm } from '@mantine/form';
import { useTranslation } from 'react-i18next';
import { api, body } from '../api/client';
import { ProblemAlert } from '../app/ProblemAlert';
import { CodeFields } from './CodeFields';
import { useCodes } from './codes';
import { SecondStep } from './SecondStep';
import { useSignInSteps } from './signInSteps';

/** Sign in by a code that comes by SMS; where registration allows it, a new phone gets an account. */
export function SmsForm({ registers }: { registers: boolean }) {
  const { t } = useTranslation();
  const codes = useCodes(async (phone) => body(await api.POST('/api/v1/auth/sms/code', { body: { phone } })));
  const form = useForm({
    mode: 'controlled',
    initialValues: { phone: '', code: '', totp: '' },
    validate: {
      phone: (value) => (value.trim() === '' ? t('signIn.phoneNeeded') : null),
      code: (value) => (/^\d{6}$/.test(value) ? null : t('signIn.codeNeeded')),
      totp: (value) => (steps.second && value.trim() === '' ? t('signIn.codeNeeded') : null),
    },
  });
  const steps = useSignInSteps(['phone', 'code'], (errors) => form.setErrors(errors));
  const submit = ({ phone, code, totp }: typeof form.values) =>
    steps.send({ phone: phone.trim(), code, ...codes.requestOf(phone.trim()) }, totp);
  return (
    <form onSubmit={form.onSubmit(submit)} noValidate>
      <Stack>
        <ProblemAlert problem={steps.problem} />
        {steps.second ? (
          <SecondStep field={form.getInputProps('totp')} onBack={steps.back} />
        ) : (
          <CodeFields
            codes={codes}
            phone={form.values.phone}
            code={form.values.code}
            onPhone={(phone) => form.setFieldValue('phone', phone)}
            onCode={(code) => form.setFieldValue('code', code)}
            errors={{ phone: textOf(form.errors.phone), code: textOf(form.errors.code) }}
          />
        )}
        {registers && !steps.second && (
          <Text size="sm" c="dimmed">
            {t('signIn.smsRegisters')}
          </Text>
        )}
        <Button type="submit" size="md" mt="xs" loading={steps.pending}>
          {t('signIn.submit')}
        </Button>
      </Stack>
    </form>
  );
}

function textOf(error: unknown): string | undefined {
  return typeof error === 'string' ? error : undefined;
}
