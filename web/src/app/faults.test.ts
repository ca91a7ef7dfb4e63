import { expect, it } from 'vitest';
import { Problem } from '../api/problem';
import { faultsOf } from './faults';

const taken = { field: 'login', code: 'login_taken', message: 'This login is taken.' };
const phone = { field: 'phone', code: 'bad_field', message: 'Enter a phone number.' };

it('puts what the server says about a field at the field', () => {
  const error = new Problem({ status: 409, code: 'login_taken', fields: [taken] });
  expect(faultsOf(error, ['login', 'password'])).toEqual({ at: { login: 'This login is taken.' }, rest: undefined });
});

it('keeps for the form what is about no field that it shows', () => {
  const error = new Problem({ status: 400, code: 'bad_field', fields: [taken, phone] });
  const { at, rest } = faultsOf(error, ['login']);
  expect(at).toEqual({ login: 'This login is taken.' });
  expect(rest).toBe(error);
});

it('shows the first of two sentences about one field', () => {
  const error = new Problem({ status: 400, code: 'bad_field', fields: [phone, { ...phone, message: 'Second.' }] });
  expect(faultsOf(error, ['phone']).at).toEqual({ phone: 'Enter a phone number.' });
});

it('is about the whole form when no field is named, and about nothing without an error', () => {
  const error = new Problem({ status: 401, code: 'bad_credentials' });
  expect(faultsOf(error, ['login'])).toEqual({ at: {}, rest: error });
  expect(faultsOf(null, ['login'])).toEqual({ at: {}, rest: undefined });
  expect(faultsOf(new TypeError('x'), ['login']).rest).toMatchObject({ code: 'unexpected' });
});
