import { useMutation } from '@tanstack/react-query';
import { useState } from 'react';
import { toProblem } from '../api/problem';
import type { components } from '../api/schema.gen';
import { useCountdown } from './countdown';

type SentCode = components['schemas']['SentCode'];

/** Has codes sent to phones: which code is under way, and how long until another one can be asked for. */
export function useCodes(ask: (phone: string) => Promise<SentCode>) {
  const [wait, beginWait] = useCountdown();
  const [sent, setSent] = useState<SentCode & { phone: string }>();
  const sending = useMutation({
    mutationFn: ask,
    onSuccess: (code, phone) => {
      setSent({ ...code, phone });
      beginWait(code.retryIn);
    },
    onError: (error) => {
      const { retryAfter } = toProblem(error);
      if (retryAfter) beginWait(retryAfter / 1000);
    },
  });
  return {
    send: sending.mutate,
    pending: sending.isPending,
    error: sending.error,
    /** Seconds until another code can be asked for. */
    wait,
    sent,
    /** What goes with a code that was typed for this phone. */
    requestOf: (phone: string) => (sent?.phone === phone ? { requestId: sent.requestId } : {}),
  };
}

export type Codes = ReturnType<typeof useCodes>;
