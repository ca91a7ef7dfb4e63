/**
 * What is selected in a list, which row has the keyboard, and where a range began. Pure: every change makes a new
 * value, from the ids in the order that they are shown.
 */
export interface Selection {
  readonly ids: ReadonlySet<string>;
  readonly active: string | undefined;
  readonly anchor: string | undefined;
}

export const noSelection: Selection = { ids: new Set(), active: undefined, anchor: undefined };

export function selectOnly(id: string): Selection {
  return { ids: new Set([id]), active: id, anchor: id };
}

/** Moves the keyboard without selecting. */
export function activate(selection: Selection, id: string): Selection {
  return { ...selection, active: id, anchor: id };
}

export function toggle(selection: Selection, id: string): Selection {
  const ids = new Set(selection.ids);
  if (!ids.delete(id)) ids.add(id);
  return { ids, active: id, anchor: id };
}

/** From where the range began to id, both included, and nothing else. */
export function selectTo(selection: Selection, order: readonly string[], id: string): Selection {
  const anchor = selection.anchor ?? selection.active ?? id;
  const from = order.indexOf(anchor);
  const to = order.indexOf(id);
  if (from < 0 || to < 0) return selectOnly(id);
  const ids = new Set(order.slice(Math.min(from, to), Math.max(from, to) + 1));
  return { ids, active: id, anchor };
}

export function selectAll(selection: Selection, order: readonly string[]): Selection {
  return { ...selection, ids: new Set(order) };
}

export function clear(selection: Selection): Selection {
  return { ...selection, ids: new Set() };
}
