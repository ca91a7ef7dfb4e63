import { expect, it } from 'vitest';
import { endsSession, parseRetryAfter, Problem, readProblem } from './problem';

it('reads a problem document', () => {
  const body = JSON.stringify({ status: 409, code: 'name_taken', title: 'Taken.', requestId: 'r1' });
  expect(readProblem(409, body, null)).toMatchObject({
    status: 409,
    code: 'name_taken',
    detail: 'Taken.',
    requestId: 'r1',
  });
});

it.each([
  [502, '<html>Bad Gateway</html>', 'busy'],
  [401, '', 'unauthenticated'],
  [500, 'null', 'internal'],
  [418, '[]', 'unexpected'],
])('makes something of status %i with the body %j', (status, body, code) => {
  expect(readProblem(status, body, null)).toMatchObject({ status, code, requestId: '' });
});

it('reads Retry-After as seconds and as a date', () => {
  const now = Date.parse('2026-11-24T00:00:00Z');
  expect(parseRetryAfter('3', now)).toBe(3000);
  expect(parseRetryAfter('Tue, 24 Nov 2026 00:00:10 GMT', now)).toBe(10_000);
  expect(parseRetryAfter('Mon, 23 Nov 2026 00:00:10 GMT', now)).toBe(0);
  expect(parseRetryAfter('soon', now)).toBeUndefined();
  expect(parseRetryAfter(null, now)).toBeUndefined();
});

it('reads what is wrong with each field, and nothing that is none', () => {
  const login = { field: 'login', code: 'login_taken', message: 'This login is taken.' };
  const body = JSON.stringify({ status: 409, code: 'login_taken', fields: [login, null, { field: 'x' }, 7] });
  expect(readProblem(409, body, null).fields).toEqual([login]);
  expect(readProblem(400, '{"fields":"login"}', null).fields).toEqual([]);
});

it.each([
  [401, 'unauthenticated', true],
  [401, 'bad_totp', false],
  [401, 'bad_credentials', false],
  [403, 'wrong_password', false],
])('status %i with the code %s ends the session: %s', (status, code, ends) => {
  expect(endsSession(new Problem({ status, code }))).toBe(ends);
});
