/** Query keys of what belongs to the account that is signed in. */
export const accountKeys = {
  me: ['account', 'me'] as const,
  drive: ['account', 'drive'] as const,
  passkeys: ['account', 'passkeys'] as const,
  sessions: ['account', 'sessions'] as const,
  accessKeys: ['account', 'keys'] as const,
  identities: ['account', 'identities'] as const,
  events: ['account', 'events'] as const,
};
