import i18next from 'i18next';

/** What an event is called in the reader's words; an action that this page does not know keeps its own name. */
export function actionText(action: string): string {
  return i18next.t(`events.${action}`, action);
}

/** Where a filter of the log begins, by the first word of its actions. */
export const eventKinds = [
  'signin',
  'session',
  'password',
  'phone',
  'totp',
  'passkey',
  'identity',
  'key',
  'user',
  'link',
  'group',
  'drive',
  'policy',
  'sms',
  'audit',
] as const;
