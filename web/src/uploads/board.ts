import { isActive, type UploadItem } from './item';
import { RateMeter } from './rate';
import { takeSnapshot, type Halt, type UploadsSnapshot } from './snapshot';

export interface BoardOptions {
  /** Runs a function a little later: many changes make one notification. */
  defer: (run: () => void) => void;
  now: () => number;
}

export type Change = Partial<Omit<UploadItem, 'id' | 'problem'>> & { problem?: UploadItem['problem'] | undefined };

/** The list of all uploads: what is known of each, and who wants to know. */
export class Board {
  private readonly options: BoardOptions;
  private readonly listeners = new Set<() => void>();
  private readonly meter = new RateMeter();
  private readonly index = new Map<number, number>();
  private list: UploadItem[] = [];
  private notifying = false;
  /** Bytes sent since the page was opened; a try that failed counts, as the line carried it. */
  private carried = 0;
  private current: UploadsSnapshot = takeSnapshot([], undefined, 0);
  halt: Halt | undefined;

  constructor(options: BoardOptions) {
    this.options = options;
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  readonly snapshot = (): UploadsSnapshot => this.current;

  /** The items as they are now. The list may change while it is walked, its items do not. */
  items(): readonly UploadItem[] {
    return this.list;
  }

  item(id: number): UploadItem | undefined {
    const at = this.index.get(id);
    return at === undefined ? undefined : this.list[at];
  }

  add(item: UploadItem): void {
    this.index.set(item.id, this.list.length);
    this.list.push(item);
    this.changed();
  }

  patch(id: number, change: Change): void {
    const at = this.index.get(id);
    const old = at === undefined ? undefined : this.list[at];
    if (at === undefined || !old) return;
    const { problem: oldProblem, ...rest } = old;
    const { problem: newProblem, ...fields } = change;
    const problem = 'problem' in change ? newProblem : oldProblem;
    this.list[at] = { ...rest, ...fields, ...(problem && { problem }) };
    this.changed();
  }

  /** Keeps what is wanted and returns the rest. */
  keep(wanted: (item: UploadItem) => boolean): UploadItem[] {
    const gone = this.list.filter((item) => !wanted(item));
    this.list = this.list.filter(wanted);
    this.index.clear();
    this.list.forEach((item, at) => this.index.set(item.id, at));
    this.changed();
    return gone;
  }

  /** Counts bytes that the line carried, for the rate. */
  carry(bytes: number): void {
    this.carried += bytes;
    this.meter.sample(this.options.now(), this.carried);
  }

  changed(): void {
    if (this.notifying) return;
    this.notifying = true;
    this.options.defer(() => {
      this.notifying = false;
      this.current = takeSnapshot([...this.list], this.halt, this.meter.rate());
      if (!this.list.some((item) => isActive(item.state))) this.meter.reset();
      for (const listener of this.listeners) listener();
    });
  }
}
