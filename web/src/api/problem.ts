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

  constructor(init: {
    status: number;
    code: string;
    detail?: string;
    requestId?: string;
    retryAfter?: number | undefined;
  }) {
    super(`${init.code} (${init.status})`);
    this.name = 'Problem';
    this.status = init.status;
    this.code = init.code;
    this.detail = init.detail ?? '';
    this.requestId = init.requestId ?? '';
    this.retryAfter = init.retryAfter;
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
  });
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
