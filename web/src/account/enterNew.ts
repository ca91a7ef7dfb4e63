import { useQueryClient } from '@tanstack/react-query';
import { useTranslation } from 'react-i18next';
import { useNavigate } from 'react-router';
import { noticeDone } from '../app/notices';
import { enterSession } from './session';

/** Signs in with a password that was just set; where that is not enough, the sign-in page asks for the rest. */
export function useEnterNew(): (credentials: { login: string; password: string }) => Promise<void> {
  const { t } = useTranslation();
  const queries = useQueryClient();
  const navigate = useNavigate();
  return async (credentials) => {
    try {
      await enterSession(queries, credentials);
      await navigate('/files', { replace: true });
    } catch {
      // The password is set in any case, and the sign-in page says what else is wanted.
      noticeDone(t('register.signInNow'));
      await navigate('/signin', { replace: true });
    }
  };
}
