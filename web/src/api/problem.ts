/** What is wrong with one field of a request, in the language that was asked for. */
export interface FieldProblem {
  /** Where the field stands in the request: "login", "members[2].name". */
  field: string;
  code: string;
  message: string;
}

/**
 * Why a request failed: an RFC 9457 answer of the server, or what the browser knows when there was none. The
 * code is stable and chooses the words that a reader sees (locale files, "problems").
 */
export class Problem extends Error {
  readonly status: number;
  readonly code: string;
  /** The server's own sentence, in the language that was asked for; may be empty. */
  readonly detail: string;
  readonly requestId: string;
  /** How long the server asks to wait before the next try, in ms. */
  readonly retryAfter: number | undefined;
  readonly fields: readonly FieldProblem[];

  constructor(init: {
    status: number;
    code: string;
    detail?: string;
    requestId?: string;
    retryAfter?: number | undefined;
    fields?: readonly FieldProblem[];
  }) {
    super(`${init.code} (${init.status})`);
    this.name = 'Problem';
    this.status = init.status;
    this.code = init.code;
    this.detail = init.detail ?? '';
    this.requestId = init.requestId ?? '';
    this.retryAfter = init.retryAfter;
    this.fields = init.fields ?? [];
  }
}

/** No answer at all: the server is down, the network is gone, the connection broke. */
export function networkProblem(): Problem {
  return new Problem({ status: 0, code: 'network' });
}

/** Reads a failed answer. A body that is no problem document, a proxy's page perhaps, still gives a Problem. */
export function readProblem(status: number, body: string, retryAfter: string | null): Problem {
  const fields = parseObject(body);
  const text = (key: string) => (typeof fields[key] === 'string' ? fields[key] : '');
  return new Problem({
    status,
    code: text('code') || codeOfStatus(status),
    detail: text('detail') || text('title'),
    requestId: text('requestId'),
    retryAfter: parseRetryAfter(retryAfter),
    fields: Array.isArray(fields.fields) ? fields.fields.filter(isFieldProblem) : [],
  });
}

function isFieldProblem(value: unknown): value is FieldProblem {
  if (typeof value !== 'object' || value === null) return false;
  const { field, code, message } = value as Record<string, unknown>;
  return typeof field === 'string' && typeof code === 'string' && typeof message === 'string' && message !== '';
}

/** Answers of status 401 that are about what was typed and not about the session. */
const aboutCredentials = new Set(['bad_credentials', 'totp_required', 'bad_totp', 'bad_code', 'bad_passkey']);

/** Whether an answer says that nobody is signed in any more. */
export function endsSession(error: unknown): boolean {
  return error instanceof Problem && error.status === 401 && !aboutCredentials.has(error.code);
}

export function toProblem(error: unknown): Problem {
  return error instanceof Problem ? error : new Problem({ status: -1, code: 'unexpected' });
}

/** Retry-After (RFC 9110, section 10.2.3) in ms: seconds or a date. */
export function parseRetryAfter(value: string | null, now: number = Date.now()): number | undefined {
  if (value === null || value.trim() === '') return undefined;
  if (/^\d+$/.test(value.trim())) return Number(value) * 1000;
  const date = Date.parse(value);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}

function parseObject(body: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === 'object' && value !== null ? { ...value } : {};
  } catch {
    return {};
  }
}

function codeOfStatus(status: number): string {
  switch (status) {
    case 401:
      return 'unauthenticated';
    case 403:
      return 'denied';
    case 404:
      return 'not_found';
    case 409:
      return 'conflict';
    case 412:
      return 'stale';
    case 413:
      return 'too_large';
    case 429:
    case 502:
    case 503:
    case 504:
      return 'busy';
    case 507:
      return 'over_quota';
    default:
      return status >= 500 ? 'internal' : 'unexpected';
  }
}
