import { describe, expect, it } from 'vitest';
import { Problem } from '../api/problem';
import { fromBase64url, toBase64url } from './base64url';
import { decodeCreation, decodeRequest, passkeyProblem } from './passkey';

const bytes = (...values: number[]) => Uint8Array.from(values).buffer;

describe('base64url', () => {
  it.each([
    ['', []],
    ['-_8', [0xfb, 0xff]],
    ['AAEC', [0, 1, 2]],
    ['_w', [255]],
  ])('%j are the bytes %j', (text, values) => {
    expect([...new Uint8Array(fromBase64url(text))]).toEqual(values);
    expect(toBase64url(bytes(...values))).toBe(text);
  });
});

it('decodes what a sign-in asks for', () => {
  const options = decodeRequest({
    challenge: '-_8',
    rpId: 'drive.example',
    userVerification: 'required',
    allowCredentials: [{ id: 'AAEC', type: 'public-key', transports: ['internal'] }],
  });
  expect(options).toEqual({
    challenge: bytes(0xfb, 0xff),
    rpId: 'drive.example',
    userVerification: 'required',
    allowCredentials: [{ id: bytes(0, 1, 2), type: 'public-key', transports: ['internal'] }],
  });
});

it('decodes what a new passkey is to be', () => {
  const options = decodeCreation({
    challenge: 'AAEC',
    rp: { id: 'drive.example', name: 'Gopan' },
    user: { id: '_w', name: 'ann', displayName: 'Ann' },
    pubKeyCredParams: [{ type: 'public-key', alg: -7 }],
    excludeCredentials: [{ id: '-_8', type: 'public-key' }],
    timeout: 60_000,
  });
  expect(options).toEqual({
    challenge: bytes(0, 1, 2),
    rp: { id: 'drive.example', name: 'Gopan' },
    user: { id: bytes(255), name: 'ann', displayName: 'Ann' },
    pubKeyCredParams: [{ type: 'public-key', alg: -7 }],
    excludeCredentials: [{ id: bytes(0xfb, 0xff), type: 'public-key' }],
    timeout: 60_000,
  });
});

it('turns the refusals of a browser into problems, and leaves others as they are', () => {
  expect(passkeyProblem(new DOMException('', 'NotAllowedError'))).toMatchObject({ code: 'passkey_cancelled' });
  expect(passkeyProblem(new DOMException('', 'InvalidStateError'))).toMatchObject({ code: 'passkey_exists' });
  const busy = new Problem({ status: 503, code: 'busy' });
  expect(passkeyProblem(busy)).toBe(busy);
});
