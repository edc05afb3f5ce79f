// What workspace and runs table share of a project: the runs that pass the filter, their keys, groups, order and colours.
import { api, type Place } from "../lib/api";
import { allocate } from "../lib/colours";
import { plural } from "../lib/format";
import { direction, grouping, groupRows, inColour, mainMetric, type Row, runRows } from "../lib/runs";
import type { Groups, Keys, RunPage, RunView, Sweeps } from "../lib/wire";
import { live } from "./live.svelte";
import { Resource } from "./resource.svelte";
import { router } from "./router.svelte";

/** Most runs that are listed and drawn one by one; more are counted, and the page says so. */
export const DRAWN = 200;

const memory = new Map<string, Map<string, number>>();

export class ProjectState {
  readonly place: Place;
  readonly runs = new Resource<RunPage>();
  readonly keys = new Resource<Keys>();
  readonly groups = new Resource<Groups>();
  readonly sweeps = new Resource<Sweeps>();
  #known: Map<string, number>;
  #signs = new Map<string, 1 | -1>();

  constructor(entity: string, project: string) {
    this.place = { entity, project };
    const name = `${entity}/${project}`;
    this.#known = memory.get(name) ?? new Map<string, number>();
    memory.set(name, this.#known);

    this.sweeps.load("sweeps", (signal) => api.sweeps(this.place, { signal }));
    $effect(() => {
      void live.count(entity, project);
      const { filter } = router.view;
      this.keys.load(filter, (signal) => api.keys(this.place, filter, { signal }));
    });
    $effect(() => {
      void live.count(entity, project);
      // Keys and sweeps say which metric is the one to sort by.
      if ((!this.keys.data && !this.keys.error) || (!this.sweeps.data && !this.sweeps.error)) return;
      const params = { filter: router.view.filter, sort: this.metric ? this.#sort() : "-created", limit: DRAWN };
      this.runs.load(JSON.stringify(params), (signal) => api.runs(this.place, params, { signal }));
    });
    $effect(() => {
      void live.count(entity, project);
      if (!this.by.length) return this.groups.clear();
      const params = { filter: router.view.filter, by: this.by, metric: this.metric, use: router.view.use };
      this.groups.load(JSON.stringify(params), (signal) => api.groups(this.place, params, { signal }));
    });
  }

  metrics = $derived.by(() => (this.keys.data?.metrics ?? []).filter((m) => !m.startsWith("_")));
  list = $derived.by((): readonly RunView[] => this.runs.data?.runs ?? []);
  metric = $derived.by(() => router.view.metric || mainMetric(this.metrics, (this.sweeps.data?.sweeps ?? []).map((sweep) => sweep.metric)));
  /** Settled once for each metric: the order of the list must not depend on the part of the list that is here. */
  sign = $derived.by(() => {
    const known = this.#signs.get(this.metric);
    if (known || !this.list.some((run) => this.metric in run.metrics)) return known ?? direction([], this.metric);
    const sign = direction(this.list, this.metric);
    this.#signs.set(this.metric, sign);
    return sign;
  });
  matched = $derived.by(() => this.runs.data?.matched ?? null);
  by = $derived.by(() => grouping(router.view.by, router.view.but, this.keys.data?.keys ?? [], this.matched ?? 0));
  grouped = $derived.by(() => this.by.length > 0);
  rows = $derived.by((): Row[] => {
    if (this.grouped) return this.groups.data ? groupRows(this.groups.data.groups, this.by, this.sign) : [];
    return runRows(this.list, this.metric, router.view.use);
  });
  coloured = $derived.by(() => new Set(inColour(this.rows, router.view.top, router.view.picked, router.view.dropped)));
  slots = $derived.by(() => {
    const slots = allocate(this.#known, [...this.coloured]);
    for (const [id, slot] of slots) this.#known.set(id, slot);
    return slots;
  });
  /** The runs to ask curves for, when not all that pass the filter are drawn. */
  ids = $derived.by(() => (!this.grouped && (this.matched ?? 0) > this.list.length ? this.list.map((run) => run.id) : null));
  error = $derived.by(() => this.keys.error ?? this.runs.error ?? this.groups.error);
  groupWords = $derived.by(() => {
    if (!this.groups.data || !this.grouped) return "";
    const sizes = this.groups.data.groups.map((g) => g.n);
    const [low, high] = [Math.min(...sizes), Math.max(...sizes)];
    return `${plural(sizes.length, "group")} of ${low === high ? low : `${low} to ${high}`} runs`;
  });

  #sort(): string {
    return `${this.sign > 0 ? "-" : ""}metrics.${this.metric}.${router.view.use}`;
  }

  /** A click on a colour square: force into colour, or drop out of it. */
  flip(id: string): void {
    const { picked, dropped } = router.view;
    const without = (list: string[]) => list.filter((other) => other !== id);
    if (this.coloured.has(id)) router.set({ picked: without(picked), dropped: [...without(dropped), id] });
    else router.set({ picked: [...without(picked), id], dropped: without(dropped) });
  }
}
