import { Problem } from '../api/problem';
import { fromBase64url, toBase64url } from './base64url';

/** Whether this browser can use passkeys here; it cannot on plain http from another machine. */
export function passkeysHere(): boolean {
  return typeof PublicKeyCredential !== 'undefined' && 'credentials' in navigator;
}

/** Asks the reader for a passkey; answers its proof as JSON text (WebAuthn, AuthenticationResponseJSON). */
export async function askForPasskey(options: string): Promise<string> {
  const { publicKey } = JSON.parse(options) as { publicKey: PublicKeyCredentialRequestOptionsJSON };
  const decoded =
    'parseRequestOptionsFromJSON' in PublicKeyCredential
      ? PublicKeyCredential.parseRequestOptionsFromJSON(publicKey)
      : decodeRequest(publicKey);
  return answerOf(() => navigator.credentials.get({ publicKey: decoded }));
}

/** Has the reader make a passkey; answers it as JSON text (WebAuthn, RegistrationResponseJSON). */
export async function makePasskey(options: string): Promise<string> {
  const { publicKey } = JSON.parse(options) as { publicKey: PublicKeyCredentialCreationOptionsJSON };
  const decoded =
    'parseCreationOptionsFromJSON' in PublicKeyCredential
      ? PublicKeyCredential.parseCreationOptionsFromJSON(publicKey)
      : decodeCreation(publicKey);
  return answerOf(() => navigator.credentials.create({ publicKey: decoded }));
}

async function answerOf(ask: () => Promise<Credential | null>): Promise<string> {
  try {
    const credential = await ask();
    if (!(credential instanceof PublicKeyCredential)) throw new Problem({ status: -1, code: 'passkey_cancelled' });
    return JSON.stringify('toJSON' in credential ? credential.toJSON() : encode(credential));
  } catch (error) {
    throw passkeyProblem(error);
  }
}

/** The browser's refusals as problems. It tells a "no" and a timeout apart from nothing else, for privacy. */
export function passkeyProblem(error: unknown): unknown {
  if (!(error instanceof DOMException)) return error;
  const code = error.name === 'InvalidStateError' ? 'passkey_exists' : 'passkey_cancelled';
  return new Problem({ status: -1, code });
}

/** For browsers that do not read the JSON form themselves. */
export function decodeRequest(json: PublicKeyCredentialRequestOptionsJSON): PublicKeyCredentialRequestOptions {
  const { challenge, allowCredentials, timeout, rpId, userVerification } = json;
  return {
    challenge: fromBase64url(challenge),
    ...(allowCredentials && { allowCredentials: allowCredentials.map(decodeDescriptor) }),
    ...(timeout !== undefined && { timeout }),
    ...(rpId !== undefined && { rpId }),
    ...(userVerification && { userVerification: userVerification as UserVerificationRequirement }),
  };
}

export function decodeCreation(json: PublicKeyCredentialCreationOptionsJSON): PublicKeyCredentialCreationOptions {
  const { challenge, user, excludeCredentials, rp, pubKeyCredParams, timeout, authenticatorSelection, attestation } =
    json;
  return {
    rp,
    pubKeyCredParams,
    challenge: fromBase64url(challenge),
    user: { ...user, id: fromBase64url(user.id) },
    ...(excludeCredentials && { excludeCredentials: excludeCredentials.map(decodeDescriptor) }),
    ...(timeout !== undefined && { timeout }),
    ...(authenticatorSelection && { authenticatorSelection }),
    ...(attestation && { attestation: attestation as AttestationConveyancePreference }),
  };
}

function decodeDescriptor(json: PublicKeyCredentialDescriptorJSON): PublicKeyCredentialDescriptor {
  return {
    type: 'public-key',
    id: fromBase64url(json.id),
    ...(json.transports && { transports: json.transports as AuthenticatorTransport[] }),
  };
}

function encode(credential: PublicKeyCredential): object {
  return {
    id: credential.id,
    rawId: toBase64url(credential.rawId),
    type: credential.type,
    authenticatorAttachment: credential.authenticatorAttachment ?? undefined,
    clientExtensionResults: credential.getClientExtensionResults(),
    response: encodeResponse(credential.response),
  };
}

function encodeResponse(response: AuthenticatorResponse): object {
  const clientDataJSON = toBase64url(response.clientDataJSON);
  if (response instanceof AuthenticatorAttestationResponse) {
    const transports = response.getTransports();
    return { clientDataJSON, attestationObject: toBase64url(response.attestationObject), transports };
  }
  if (response instanceof AuthenticatorAssertionResponse) {
    return {
      clientDataJSON,
      authenticatorData: toBase64url(response.authenticatorData),
      signature: toBase64url(response.signature),
      userHandle: response.userHandle ? toBase64url(response.userHandle) : undefined,
    };
  }
  return { clientDataJSON };
}
