export type KeyCommand =
  { kind: 'move'; to: number; extend: boolean } | { kind: 'toggle' | 'all' | 'clear' | 'open' | 'rename' | 'trash' };

export interface PressedKey {
  key: string;
  shiftKey: boolean;
  ctrlKey: boolean;
  metaKey: boolean;
  altKey: boolean;
}

/** What a key means in the table; undefined for a key that is not ours. */
export function keyCommand(
  event: PressedKey,
  at: { index: number; last: number; page: number },
): KeyCommand | undefined {
  const control = event.ctrlKey || event.metaKey;
  if (event.altKey) return undefined;
  if (control) return event.key.toLowerCase() === 'a' ? { kind: 'all' } : undefined;
  const move = (to: number): KeyCommand => ({
    kind: 'move',
    to: Math.max(0, Math.min(at.last, to)),
    extend: event.shiftKey,
  });
  switch (event.key) {
    case 'ArrowDown':
      return move(at.index + 1);
    case 'ArrowUp':
      return move(at.index - 1);
    case 'PageDown':
      return move(at.index + at.page);
    case 'PageUp':
      return move(at.index - at.page);
    case 'Home':
      return move(0);
    case 'End':
      return move(at.last);
    case ' ':
      return { kind: 'toggle' };
    case 'Escape':
      return { kind: 'clear' };
    case 'Enter':
      return { kind: 'open' };
    case 'F2':
      return { kind: 'rename' };
    case 'Delete':
      return { kind: 'trash' };
    default:
      return undefined;
  }
}
