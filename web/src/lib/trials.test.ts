import { describe, expect, it } from "vitest";
import { bestSoFar, binned, bristles, interval, modelled, outcomes, ranked, reasons, timeLeft } from "./trials";
import type { TrialView } from "./wire";

function trial(number: number, value: number | null, state = "finished", extra: Partial<TrialView> = {}): TrialView {
  return { number, run: `r${number}`, params: {}, state, attempt: 1, created: number, value, info: {}, agent: "", started: number, ended: state === "running" ? null : number + 10, reason: "", steps: 1, outcomes: {}, ...extra };
}

const LOSSES = [trial(1, 5), trial(2, 7), trial(3, 3), trial(4, null, "failed"), trial(5, 1, "running"), trial(6, 2, "stopped")];

it("follows the best as it was known at the time; a running trial does not count yet", () => {
  expect(bestSoFar(LOSSES, -1)).toEqual([5, 5, 3, 3, 3, 2]);
  expect(bestSoFar(LOSSES, 1)).toEqual([5, 7, 7, 7, 7, 7]);
});

it("gives every trial one bristle, taller for better", () => {
  const bars = bristles(LOSSES, -1);
  expect(bars.map((b) => b.outcome)).toEqual(["best", "finished", "best", "failed", "running", "best"]);
  expect(bars[2]?.height).toBeGreaterThan(bars[0]?.height ?? 1);
  expect(bars[0]?.height).toBeGreaterThan(bars[1]?.height ?? 1);
  expect(outcomes(bars)).toMatchObject({ best: 3, finished: 1, failed: 1, running: 1, pruned: 0 });
});

it("does not let one diverged trial flatten the others", () => {
  const values = [1e9, 0.5, 0.4, 0.3, 0.2, 0.1, 0.6, 0.7, 0.8, 0.9, 1, 0.15];
  const bars = bristles(values.map((v, i) => trial(i, v)), -1);
  expect((bars[5]?.height ?? 0) - (bars[9]?.height ?? 1)).toBeGreaterThan(0.4);
});

it("bins a long sweep and never hides a best", () => {
  const bars = bristles(Array.from({ length: 1000 }, (_, i) => trial(i, 1000 - i)), -1);
  const bins = binned(bars, 400);
  expect(bins.length).toBeLessThanOrEqual(400);
  expect(bins.every((b) => b.outcome === "best")).toBe(true);
});

describe("why", () => {
  const sweep = {
    method: "bayes", goal: "minimize", metric: "loss",
    trials: [
      trial(1, 5, "finished", { info: { method: "bayes", predicted: 0.5, deviation: 0.1, probability_to_improve: 0.06 } }),
      trial(2, 4, "stopped", { info: { method: "bayes", arm: "start", number: 2 }, reason: "0.77 is 19th of 24 at this rung", steps: 9 }),
      trial(3, null, "failed", { reason: "exit code 1", attempt: 2 }),
    ],
  };
  const list = reasons(sweep);
  it("is newest first", () => expect(list.map((r) => r.time)).toEqual([...list.map((r) => r.time)].sort((a, b) => b - a)));
  it("says what the model expected", () => {
    expect(list.find((r) => r.trial.number === 1 && r.kind === "suggested")?.text).toBe("Expects 0.5000 ± 0.1000; 6.0 % chance of a new best");
  });
  it("says which points came before the model", () => {
    expect(list.find((r) => r.trial.number === 2 && r.kind === "suggested")?.text).toBe("One of the first points, before there is a model.");
    expect(list.find((r) => r.trial.number === 3 && r.kind === "suggested")?.text).toBe("Drawn from the space, without a model.");
    expect(sweep.trials.map(modelled)).toEqual([true, false, false]);
  });
  it("names the rule that pruned and the failure", () => {
    expect(list.find((r) => r.kind === "pruned")).toMatchObject({ title: "Pruned after 9 values", text: "0.77 is 19th of 24 at this rung" });
    expect(list.filter((r) => r.kind === "failed").map((r) => r.title).sort()).toEqual(["Failed", "Retried, attempt 2"]);
  });
  it("marks each new best", () => expect(list.filter((r) => r.kind === "best").map((r) => r.title)).toEqual(["New best 4", "New best 5"]));
});

it("estimates the time left from the pace and the agents", () => {
  expect(timeLeft({ budget: 10, agents: 2, trials: LOSSES })).toBe((5 * 10) / 2);
  expect(timeLeft({ budget: null, agents: 2, trials: LOSSES })).toBeNull();
});

it("lists running trials first, then the best", () => {
  expect(ranked(LOSSES, -1).map((t) => t.number)).toEqual([5, 6, 3, 1, 2, 4]);
});

it("keeps the interval of a share between nothing and all", () => {
  expect(interval(0.5, 0.1)).toEqual({ share: 0.5, low: 0.5 - 0.196, high: 0.5 + 0.196 });
  expect(interval(0.02, 0.1).low).toBe(0);
  expect(interval(1.02, 0.1)).toEqual({ share: 1, low: 1.02 - 0.196, high: 1 });
});
