// The whole view of a project page as a URL and back. A default is not written, so a first visit has a bare address.
import { SPREADS, type Spread } from "./spread";

export interface View {
  /** Filter text; the server's grammar. */
  filter: string;
  /** Keys to group by; with `but`, all keys that vary except these. */
  by: string[];
  but: string[];
  spread: Spread;
  /** `_step`, `_relative`, `_time` or a metric. */
  x: string;
  smooth: number;
  /** Metrics drawn on a log axis; "*" is all of them. */
  log: string[];
  /** The metric of the list's value column, and which of a run's values. */
  metric: string;
  use: "best" | "last";
  /** How many lines are in colour. */
  top: number;
  zoom: [number, number] | null;
  linked: boolean;
  /** Ids or group keys forced into colour, and dropped out of it. */
  picked: string[];
  dropped: string[];
  /** Find in the list, find a panel. */
  find: string;
  panel: string;
  /** Sections folded shut. */
  closed: string[];
  /** Sort keys of the runs table, "-" in front for descending. */
  sort: string[];
  /** Columns of the runs table, beside name and state; empty: chosen by the page. */
  columns: string[];
  /** The open tab of a run or sweep page. */
  tab: string;
}

export const DEFAULTS: View = {
  filter: "",
  by: [],
  but: [],
  spread: "std",
  x: "_step",
  smooth: 0,
  log: [],
  metric: "",
  use: "best",
  top: 8,
  zoom: null,
  linked: true,
  picked: [],
  dropped: [],
  find: "",
  panel: "",
  closed: [],
  sort: [],
  columns: [],
  tab: "",
};

// A list is joined by commas; commas and backslashes inside an item are escaped.
const join = (items: readonly string[]) => items.map((item) => item.replace(/[\\,]/g, "\\$&")).join(",");

function split(joined: string | null): string[] {
  if (!joined) return [];
  return (joined.match(/(?:\\.|[^,\\])+/g) ?? []).map((item) => item.replace(/\\(.)/g, "$1"));
}

export function encode(view: View): string {
  const query = new URLSearchParams();
  if (view.filter) query.set("filter", view.filter);
  if (view.by.length) query.set("by", join(view.by));
  if (view.but.length) query.set("but", join(view.but));
  if (view.spread !== DEFAULTS.spread) query.set("spread", view.spread);
  if (view.x !== DEFAULTS.x) query.set("x", view.x);
  if (view.smooth) query.set("smooth", String(view.smooth));
  if (view.log.length) query.set("log", join(view.log));
  if (view.metric) query.set("metric", view.metric);
  if (view.use !== DEFAULTS.use) query.set("use", view.use);
  if (view.top !== DEFAULTS.top) query.set("top", String(view.top));
  if (view.zoom) query.set("zoom", view.zoom.map((v) => String(Number(v.toPrecision(8)))).join(","));
  if (!view.linked) query.set("linked", "0");
  if (view.picked.length) query.set("picked", join(view.picked));
  if (view.dropped.length) query.set("dropped", join(view.dropped));
  if (view.find) query.set("find", view.find);
  if (view.panel) query.set("panel", view.panel);
  if (view.closed.length) query.set("closed", join(view.closed));
  if (view.sort.length) query.set("sort", join(view.sort));
  if (view.columns.length) query.set("columns", join(view.columns));
  if (view.tab) query.set("tab", view.tab);
  // Slashes and commas are safe in a query, and the address stays readable.
  const text = query.toString().replaceAll("%2F", "/").replaceAll("%2C", ",");
  return text ? `?${text}` : "";
}

/** Any address gives a view: what cannot be read falls back to its default. */
export function decode(search: string): View {
  const query = new URLSearchParams(search);
  const number = (name: string, low: number, high: number, otherwise: number) => {
    const raw = query.get(name);
    const n = raw === null || raw === "" ? NaN : Number(raw);
    return Number.isFinite(n) ? Math.min(high, Math.max(low, n)) : otherwise;
  };
  const ends = (query.get("zoom") ?? "").split(",").map(Number);
  const zoomed = ends.length === 2 && ends.every(Number.isFinite) && (ends[0] as number) < (ends[1] as number);
  const spread = query.get("spread") as Spread;
  return {
    filter: query.get("filter") ?? "",
    by: split(query.get("by")),
    but: split(query.get("but")),
    spread: SPREADS.includes(spread) ? spread : DEFAULTS.spread,
    x: query.get("x") || DEFAULTS.x,
    smooth: number("smooth", 0, 0.99, 0),
    log: split(query.get("log")),
    metric: query.get("metric") ?? "",
    use: query.get("use") === "last" ? "last" : "best",
    top: Math.round(number("top", 1, 20, DEFAULTS.top)),
    zoom: zoomed ? [ends[0] as number, ends[1] as number] : null,
    linked: query.get("linked") !== "0",
    picked: split(query.get("picked")),
    dropped: split(query.get("dropped")),
    find: query.get("find") ?? "",
    panel: query.get("panel") ?? "",
    closed: split(query.get("closed")),
    sort: split(query.get("sort")),
    columns: split(query.get("columns")),
    tab: query.get("tab") ?? "",
  };
}
