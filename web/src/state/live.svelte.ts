// What changed, as counters that pages depend on. A burst of changes counts once in 0.7 s, so that a chart is asked for
// again at most that often.
import { SvelteMap } from "svelte/reactivity";
import { type Link, Stream } from "../lib/live";

const CALM = 700;

class LiveState {
  link: Link = $state({ state: "connecting" });
  #counts = new SvelteMap<string, number>();
  #waiting = new Set<string>();
  #timer: ReturnType<typeof setTimeout> | null = null;
  #stream = new Stream(
    (change) => {
      for (const [entity, project, id] of [...change.runs, ...change.sweeps]) this.#mark("", `${entity}/${project}`, `${entity}/${project}/${id}`);
    },
    (link) => {
      const back = link.state === "open" && this.link.state === "lost";
      this.link = link;
      if (back) this.#mark("", ...this.#counts.keys());
    },
  );

  start(): void {
    this.#stream.start();
    document.addEventListener("visibilitychange", () => (document.hidden ? this.#stream.pause() : this.#stream.start()));
  }

  retry(): void {
    this.#stream.stop();
    this.#stream.start();
  }

  /** Read it inside an effect: the effect runs again when anything of these changed. No parts: anything at all. */
  count(...parts: string[]): number {
    return this.#counts.get(parts.join("/")) ?? 0;
  }

  #mark(...keys: string[]): void {
    for (const key of keys) this.#waiting.add(key);
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      for (const key of this.#waiting) this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1);
      this.#waiting.clear();
    }, CALM);
  }
}

export const live = new LiveState();

class Clock {
  /** Seconds since the epoch, read again every 15 s: enough for "8 min ago". */
  now = $state(Date.now() / 1000);

  start(): void {
    setInterval(() => (this.now = Date.now() / 1000), 15_000);
  }
}

export const clock = new Clock();
