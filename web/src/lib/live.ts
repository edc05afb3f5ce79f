// The live stream: one server-sent-events connection a page, with backoff, that pauses while the tab is hidden.
// What it knows: sequence numbers and changed ids. What changed on screen is the pages' business.
import type { Change } from "./wire";

export type Link = { state: "connecting" | "open" | "paused" } | { state: "lost"; retryAt: number };

interface Source {
  onopen: ((event: Event) => void) | null;
  onerror: ((event: Event) => void) | null;
  addEventListener(name: string, listener: (event: MessageEvent) => void): void;
  close(): void;
}

export interface Surroundings {
  open: (url: string) => Source;
  now: () => number;
  later: (run: () => void, ms: number) => unknown;
  cancel: (timer: unknown) => void;
}

const BROWSER: Surroundings = {
  open: (url) => new EventSource(url) as unknown as Source,
  now: () => Date.now(),
  later: (run, ms) => setTimeout(run, ms),
  cancel: (timer) => clearTimeout(timer as number),
};

export class Stream {
  #source: Source | null = null;
  #timer: unknown = null;
  #failures = 0;
  #since = -1;

  constructor(
    readonly onChange: (change: Change) => void,
    readonly onLink: (link: Link) => void,
    readonly around: Surroundings = BROWSER,
  ) {}

  start(): void {
    if (this.#source) return;
    this.around.cancel(this.#timer);
    this.onLink({ state: "connecting" });
    const source = this.around.open(`/api/events?since=${this.#since}`);
    this.#source = source;
    source.onopen = () => {
      this.#failures = 0;
      this.onLink({ state: "open" });
    };
    source.onerror = () => this.#lost();
    const read = (event: MessageEvent) => this.#read(String(event.data));
    source.addEventListener("message", read);
    source.addEventListener("change", read);
  }

  /** Ask for nothing while nobody looks; start() goes on from where it was. */
  pause(): void {
    this.#drop();
    this.onLink({ state: "paused" });
  }

  stop(): void {
    this.#drop();
  }

  #read(data: string): void {
    let change: Change;
    try {
      change = JSON.parse(data) as Change;
    } catch {
      return; // a comment or keep-alive of another spelling
    }
    if (typeof change.seq !== "number") return;
    this.#since = change.seq;
    this.onChange(change);
  }

  #lost(): void {
    this.#drop();
    const delay = Math.min(30_000, 1000 * 2 ** this.#failures++);
    this.onLink({ state: "lost", retryAt: this.around.now() + delay });
    this.#timer = this.around.later(() => this.start(), delay);
  }

  #drop(): void {
    this.around.cancel(this.#timer);
    this.#source?.close();
    this.#source = null;
  }
}
