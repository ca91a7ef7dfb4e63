import { useState } from 'react';
import { toProblem } from '../api/problem';
import { faultsOf } from '../app/faults';
import { problemText } from '../app/notices';
import { useSignIn, type Credentials } from './session';

/**
 * The two steps of a sign-in: what proves who one is, and where the account asks for it, a second factor. The second
 * step sends the very same credentials again with the code.
 */
export function useSignInSteps(fields: readonly string[], setErrors: (errors: Record<string, string>) => void) {
  const signIn = useSignIn();
  const [second, setSecond] = useState(false);

  const send = (credentials: Credentials, totp: string) =>
    signIn.mutate(second ? { ...credentials, totp } : credentials, {
      onError: (error) => {
        const problem = toProblem(error);
        if (problem.code === 'totp_required') {
          setSecond(true);
        } else if (problem.code === 'bad_totp') {
          setErrors({ totp: problemText(problem) });
        } else {
          // The first step's proof did not hold, or ran out meanwhile.
          if (problem.status === 401) setSecond(false);
          setErrors(faultsOf(error, fields).at);
        }
      },
    });
  const back = () => {
    setSecond(false);
    signIn.reset();
  };
  const aboutSecond = signIn.error && ['totp_required', 'bad_totp'].includes(toProblem(signIn.error).code);
  const problem = aboutSecond ? undefined : faultsOf(signIn.error, fields).rest;
  return { send, back, second, pending: signIn.isPending, problem };
}
