import { useMutation, useQueryClient, type QueryKey } from '@tanstack/react-query';
import { noticeDone, noticeProblem } from './notices';

interface Change<In, Out> {
  run: (input: In) => Promise<Out>;
  /** What is to be read again afterwards, whether it worked or not. */
  reads: readonly QueryKey[];
  /** What to say when it worked; absent: it shows by itself. */
  done?: (output: Out, input: In) => string;
  /** The title of a notice when it did not; absent: whoever asks shows the error where it belongs. */
  failed?: string;
}

/** A change on the server, with what follows from it on the page. */
export function useChange<In = void, Out = unknown>({ run, reads, done, failed }: Change<In, Out>) {
  const queries = useQueryClient();
  return useMutation<Out, Error, In>({
    mutationFn: run,
    onSuccess: (output, input) => {
      if (done) noticeDone(done(output, input));
    },
    onError: (error) => {
      if (failed) noticeProblem(failed, error);
    },
    onSettled: () => Promise.all(reads.map((queryKey) => queries.invalidateQueries({ queryKey }))),
  });
}
