/** How long changes to a folder gather before it is read again, in ms. */
const pause = 700;

/** Reads folders again while files arrive in them: soon, but not once a file. */
export class Refresher {
  private readonly touched = new Set<string>();
  private timer: ReturnType<typeof setTimeout> | undefined;

  private readonly refresh: (folder: string) => void;

  constructor(refresh: (folder: string) => void) {
    this.refresh = refresh;
  }

  touch(folder: string): void {
    this.touched.add(folder);
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      const folders = [...this.touched];
      this.touched.clear();
      folders.forEach(this.refresh);
    }, pause);
  }
}
