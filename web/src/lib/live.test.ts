import { describe, expect, it } from "vitest";
import { type Link, Stream } from "./live";
import type { Change } from "./wire";

function world() {
  const opened: { url: string; onopen: (() => void) | null; onerror: (() => void) | null; say: (data: string) => void; closed: boolean }[] = [];
  const timers: { run: () => void; ms: number }[] = [];
  const changes: Change[] = [];
  const links: Link[] = [];
  const stream = new Stream((c) => changes.push(c), (l) => links.push(l), {
    open: (url) => {
      const listeners: ((e: MessageEvent) => void)[] = [];
      const source = {
        url, onopen: null, onerror: null, closed: false,
        addEventListener: (name: string, f: (e: MessageEvent) => void) => void (name === "change" && listeners.push(f)),
        close: () => void (source.closed = true),
        say: (data: string) => listeners.forEach((f) => f({ data } as MessageEvent)),
      };
      opened.push(source);
      return source;
    },
    now: () => 1000,
    later: (run, ms) => timers.push({ run, ms }),
    cancel: () => undefined,
  });
  return { stream, opened, timers, changes, links };
}

describe("the live stream", () => {
  it("tells changes and remembers how far it was", () => {
    const { stream, opened, changes, timers, links } = world();
    stream.start();
    expect(opened[0]?.url).toBe("/api/events?since=-1");
    opened[0]?.onopen?.();
    opened[0]?.say('{"seq": 7, "runs": [["me", "p", "r1"]], "sweeps": []}');
    expect(changes.map((c) => c.seq)).toEqual([7]);
    opened[0]?.onerror?.();
    expect(links.at(-1)).toEqual({ state: "lost", retryAt: 2000 });
    timers[0]?.run();
    expect(opened[1]?.url).toBe("/api/events?since=7");
  });

  it("waits longer each time, up to half a minute, and starts over once it is back", () => {
    const { stream, opened, timers } = world();
    stream.start();
    for (let i = 0; i < 7; i++) {
      opened[i]?.onerror?.();
      timers[i]?.run();
    }
    expect(timers.map((t) => t.ms)).toEqual([1000, 2000, 4000, 8000, 16000, 30000, 30000]);
    opened[7]?.onopen?.();
    opened[7]?.onerror?.();
    expect(timers.at(-1)?.ms).toBe(1000);
  });

  it("is closed while the tab is hidden", () => {
    const { stream, opened, links } = world();
    stream.start();
    stream.pause();
    expect(opened[0]?.closed).toBe(true);
    expect(links.at(-1)).toEqual({ state: "paused" });
    stream.start();
    expect(opened).toHaveLength(2);
  });

  it("is not disturbed by words it does not know", () => {
    const { stream, opened, changes } = world();
    stream.start();
    opened[0]?.say("ping");
    opened[0]?.say("{}");
    expect(changes).toEqual([]);
  });
});
