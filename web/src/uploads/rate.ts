/** The span that a rate is measured over, in ms: long enough to be calm, short enough to be true. */
const span = 5_000;

/** Measures the rate of a count that only grows. Times are in ms. */
export class RateMeter {
  private samples: { at: number; count: number }[] = [];

  sample(at: number, count: number): void {
    this.samples.push({ at, count });
    const horizon = at - span;
    // The newest sample before the horizon stays: it is where the span begins.
    while (this.samples.length > 2 && (this.samples[1]?.at ?? at) <= horizon) this.samples.shift();
  }

  /** Counts a second, 0 while there is too little to tell. */
  rate(): number {
    const first = this.samples[0];
    const last = this.samples.at(-1);
    if (!first || !last || last.at - first.at < 250) return 0;
    return Math.max(0, ((last.count - first.count) * 1000) / (last.at - first.at));
  }

  reset(): void {
    this.samples = [];
  }
}
