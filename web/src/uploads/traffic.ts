import { adapt, startPace, type Pace } from './pace';

/**
 * The requests that carry bytes, of all uploads together: it lets no more of them go at once than the line is
 * good for, first come first served.
 */
export class Traffic {
  private readonly now: () => number;
  private readonly queue: (() => void)[] = [];
  private under = 0;
  private current: Pace;

  constructor(now: () => number) {
    this.now = now;
    this.current = startPace(now());
  }

  get pace(): Pace {
    return this.current;
  }

  /** Runs work once a lane is free. It rejects without running it when the signal aborts before. */
  async lane<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    await this.enter(signal);
    try {
      return await work();
    } finally {
      this.under--;
      this.admit();
    }
  }

  /** Like lane, and learns from how it went: work resolves with the bytes it carried. */
  async learn(signal: AbortSignal, work: () => Promise<number>, isTrouble: (error: unknown) => boolean): Promise<void> {
    await this.lane(signal, async () => {
      const began = this.now();
      try {
        const bytes = await work();
        if (bytes > 0) this.current = adapt(this.current, { ok: true, bytes, began, ended: this.now() });
      } catch (error) {
        if (!signal.aborted && isTrouble(error)) this.current = adapt(this.current, { ok: false, ended: this.now() });
        throw error;
      }
    });
  }

  private enter(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = () => {
        const at = this.queue.indexOf(go);
        if (at >= 0) this.queue.splice(at, 1);
        reject(new DOMException('', 'AbortError'));
      };
      const go = () => {
        signal.removeEventListener('abort', leave);
        this.under++;
        resolve();
      };
      if (signal.aborted) {
        leave();
        return;
      }
      signal.addEventListener('abort', leave);
      this.queue.push(go);
      this.admit();
    });
  }

  private admit(): void {
    while (this.under < this.current.lanes) {
      const go = this.queue.shift();
      if (!go) return;
      go();
    }
  }
}
