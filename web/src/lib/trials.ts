// A sweep's trials as its page shows them: the best at each time, bars of the bristle strip, and why each was tried.
import { duration, real, value } from "./format";
import type { SweepView, TrialView } from "./wire";

export type Outcome = "best" | "finished" | "pruned" | "running" | "failed" | "crashed" | "killed" | "pending";

export interface Bristle {
  trial: TrialView;
  outcome: Outcome;
  /** Height in [0, 1]; taller is better. */
  height: number;
}

export function sign(sweep: Pick<SweepView, "goal">): 1 | -1 {
  return sweep.goal.startsWith("max") ? 1 : -1;
}

function measured(trial: TrialView): number | null {
  const v = real(trial.value);
  return v !== null && Number.isFinite(v) ? v : null;
}

/** The best value up to each trial, in the order of numbers; null before the first one. Only ended trials count. */
export function bestSoFar(trials: readonly TrialView[], goal: 1 | -1): (number | null)[] {
  let best: number | null = null;
  return trials.map((trial) => {
    const v = measured(trial);
    if (v !== null && counts(trial) && (best === null || goal * v > goal * best)) best = v;
    return best;
  });
}

function counts(trial: TrialView): boolean {
  return trial.state === "finished" || trial.state === "stopped";
}

/** One bar a trial, in the order of numbers. Heights go by rank of value within the sweep's inner range, so that one bad trial does not flatten the rest. */
export function bristles(trials: readonly TrialView[], goal: 1 | -1): Bristle[] {
  const best = bestSoFar(trials, goal);
  const values = trials.map(measured).filter((v): v is number => v !== null).sort((a, b) => goal * (a - b));
  const low = values[Math.floor(values.length * 0.1)] ?? 0;
  const high = values[values.length - 1] ?? 1;
  return trials.map((trial, i) => {
    const v = measured(trial);
    const fresh = best[i] !== null && best[i] !== (i > 0 ? best[i - 1] : null);
    const outcome: Outcome = fresh ? "best" : outcomeOf(trial.state);
    const scaled = v === null || high === low ? (v === null ? 0 : 1) : (v - low) / (high - low);
    const stub = outcome === "failed" || outcome === "crashed" || outcome === "killed";
    const height = stub ? 0.14 : outcome === "running" || outcome === "pending" ? 0.55 : 0.16 + 0.84 * Math.min(1, Math.max(0, scaled));
    return { trial, outcome, height };
  });
}

function outcomeOf(state: string): Outcome {
  if (state === "stopped") return "pruned";
  return ["running", "failed", "crashed", "killed", "pending"].includes(state) ? (state as Outcome) : "finished";
}

/** Over `most` bars: bins of equal count that show their tallest bar. */
export function binned(bars: readonly Bristle[], most = 400): Bristle[] {
  if (bars.length <= most) return [...bars];
  const size = Math.ceil(bars.length / most);
  const out: Bristle[] = [];
  for (let i = 0; i < bars.length; i += size) {
    out.push(bars.slice(i, i + size).reduce((a, b) => (b.outcome === "best" || b.height > a.height ? b : a)));
  }
  return out;
}

export function outcomes(bars: readonly Bristle[]): Record<Outcome, number> {
  const found: Record<Outcome, number> = { best: 0, finished: 0, pruned: 0, running: 0, failed: 0, crashed: 0, killed: 0, pending: 0 };
  for (const bar of bars) found[bar.outcome] += 1;
  return found;
}

/** Seconds until the budget is used, from the pace of trials that ended. Null when it cannot be told. */
export function timeLeft(sweep: Pick<SweepView, "budget" | "agents" | "trials">): number | null {
  const spans = sweep.trials.flatMap((t) => (t.started !== null && t.ended !== null ? [t.ended - t.started] : []));
  if (sweep.budget === null || spans.length === 0 || sweep.agents === 0) return null;
  const ended = sweep.trials.filter((t) => t.ended !== null).length;
  const mean = spans.reduce((a, b) => a + b, 0) / spans.length;
  return (Math.max(0, sweep.budget - ended) * mean) / sweep.agents;
}

/** A share with its 95 % interval, all within [0, 1]. */
export function interval(share: number, deviation: number): { share: number; low: number; high: number } {
  const inside = (x: number) => Math.min(1, Math.max(0, x));
  return { share: inside(share), low: inside(share - 1.96 * deviation), high: inside(share + 1.96 * deviation) };
}

export interface Reason {
  trial: TrialView;
  kind: "suggested" | "pruned" | "failed" | "best";
  title: string;
  text: string;
  time: number;
}

/** One entry a decision, newest first: suggested, pruned, failed and retried, new best. */
export function reasons(sweep: Pick<SweepView, "trials" | "method" | "goal" | "metric">): Reason[] {
  const trials = [...sweep.trials].sort((a, b) => a.number - b.number);
  const best = bestSoFar(trials, sign(sweep));
  const out: Reason[] = [];
  trials.forEach((trial, i) => {
    const how = typeof trial.info.method === "string" ? trial.info.method : sweep.method;
    out.push({ trial, kind: "suggested", title: `Suggested by ${how}`, text: suggestion(trial), time: trial.created });
    const end = trial.ended ?? trial.created;
    const before = i > 0 ? (best[i - 1] ?? null) : null;
    const now = best[i] ?? null;
    if (now !== null && now !== before) {
      const margin = before === null ? "The first value." : `Beats the best before it by ${value(Math.abs(now - before))}.`;
      out.push({ trial, kind: "best", title: `New best ${value(now)}`, text: margin, time: end });
    }
    if (trial.state === "stopped") {
      out.push({ trial, kind: "pruned", title: `Pruned after ${trial.steps} ${trial.steps === 1 ? "value" : "values"}`, text: trial.reason || "A stopping rule ended it.", time: end });
    } else if (trial.state === "failed" || trial.state === "crashed" || trial.state === "killed") {
      out.push({ trial, kind: "failed", title: `${trial.state[0]?.toUpperCase()}${trial.state.slice(1)}`, text: trial.reason || "No reason was given.", time: end });
    }
    if (trial.attempt > 1) {
      out.push({ trial, kind: "failed", title: `Retried, attempt ${trial.attempt}`, text: trial.reason || "The attempt before it was lost.", time: trial.started ?? trial.created });
    }
  });
  return out.sort((a, b) => b.time - a.time || b.trial.number - a.trial.number);
}

const QUIET = new Set(["method", "arm", "number", "seed", "model", "log_expected_improvement"]);

/** Whether a model stood behind the suggestion: it then says what it expected. */
export function modelled(trial: TrialView): boolean {
  return real(trial.info.predicted) !== null;
}

/** The numbers that travelled with a suggestion, in words. */
function suggestion(trial: TrialView): string {
  const { info } = trial;
  const parts: string[] = [];
  if (typeof info.why === "string") parts.push(info.why);
  const predicted = real(info.predicted);
  const spread = real(info.deviation);
  if (predicted === null && typeof info.arm === "string") return "One of the first points, before there is a model.";
  if (predicted !== null) parts.push(`expects ${value(predicted)}${spread === null ? "" : ` ± ${value(spread)}`}`);
  const chance = real(info.probability_to_improve);
  if (chance !== null) parts.push(`${(100 * chance).toFixed(chance < 0.1 ? 1 : 0)} % chance of a new best`);
  if (parts.length === 0) {
    for (const [key, v] of Object.entries(info)) {
      if (QUIET.has(key) || typeof v === "object") continue;
      parts.push(`${key} ${typeof v === "number" ? value(v) : String(v)}`);
    }
  }
  return parts.length ? sentence(parts.slice(0, 4).join("; ")) : "Drawn from the space, without a model.";
}

function sentence(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

export function lasted(trial: TrialView, now: number): string {
  return trial.started === null ? "–" : duration((trial.ended ?? now) - trial.started);
}

/** Running first, then from the best; failed ones at the end. */
export function ranked(trials: readonly TrialView[], goal: 1 | -1): TrialView[] {
  const group = (t: TrialView) => (t.state === "running" ? 0 : t.state === "pending" ? 1 : measured(t) !== null ? 2 : 3);
  return [...trials].sort((a, b) => group(a) - group(b) || goal * ((measured(b) ?? 0) - (measured(a) ?? 0)) || b.number - a.number);
}
