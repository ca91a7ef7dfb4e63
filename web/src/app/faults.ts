import { toProblem, type Problem } from '../api/problem';

/** What a failed request says about a form: a sentence for each field at fault, and what is about no field of it. */
export interface Faults {
  at: Record<string, string>;
  rest: Problem | undefined;
}

/** Sorts what a failure says by the fields that a form has. */
export function faultsOf(error: unknown, fields: readonly string[]): Faults {
  if (!error) return { at: {}, rest: undefined };
  const problem = toProblem(error);
  const at: Record<string, string> = {};
  let strangers = problem.fields.length === 0;
  for (const { field, message } of problem.fields) {
    if (fields.includes(field)) at[field] ??= message;
    else strangers = true;
  }
  return { at, rest: strangers ? problem : undefined };
}
