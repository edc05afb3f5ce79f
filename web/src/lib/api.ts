// Questions to the server. A busy answer (503) is asked again after the time it names; every other error becomes an ApiError.
import type { Alerts, Console, Curves, Groups, Importance, Keys, Problem, Projects, RunPage, RunView, SweepView, Sweeps } from "./wire";

export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly position: number | null = null,
    readonly request = "",
  ) {
    super(message);
  }
}

export type Params = Record<string, string | number | boolean | readonly string[] | null | undefined>;
export interface Options {
  signal?: AbortSignal;
  body?: unknown;
  method?: string;
  fetch?: typeof fetch;
  wait?: (ms: number) => Promise<void>;
}

const TRIES = 4;

/** A path with its parameters; empty ones are left out, lists are joined by commas. */
export function address(path: string, params: Params = {}): string {
  const query = new URLSearchParams();
  for (const [name, v] of Object.entries(params)) {
    if (v === null || v === undefined || v === "" || (Array.isArray(v) && v.length === 0)) continue;
    query.set(name, Array.isArray(v) ? v.join(",") : String(v));
  }
  const text = query.toString();
  return text ? `${path}?${text}` : path;
}

/** A path below /api whose parts may hold any character. */
export function path(...parts: string[]): string {
  return `/api/${parts.map(encodeURIComponent).join("/")}`;
}

export async function ask<T>(url: string, options: Options = {}): Promise<T> {
  const get = options.fetch ?? fetch;
  const wait = options.wait ?? ((ms: number) => new Promise((done) => setTimeout(done, ms)));
  for (let attempt = 1; ; attempt++) {
    const response = await send(get, url, options);
    if (response.ok) return (response.status === 204 ? undefined : await response.json()) as T;
    const problem = await said(response);
    if (response.status === 503 && attempt < TRIES) {
      const seconds = Number(response.headers.get("retry-after")) || problem.retry_after || attempt;
      await wait(Math.min(10, seconds) * 1000);
      if (options.signal?.aborted) throw new DOMException("aborted", "AbortError");
      continue;
    }
    const message = problem.message ?? `The server answered ${response.status}.`;
    throw new ApiError(response.status, message, problem.position ?? null, response.headers.get("x-request-id") ?? "");
  }
}

async function send(get: typeof fetch, url: string, { signal, body, method }: Options): Promise<Response> {
  const init: RequestInit = { method: method ?? (body === undefined ? "GET" : "POST"), headers: { accept: "application/json" } };
  if (signal) init.signal = signal;
  if (body !== undefined) {
    init.headers = { ...init.headers, "content-type": "application/json" };
    init.body = JSON.stringify(body);
  }
  try {
    return await get(url, init);
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new ApiError(0, "The server does not answer. Is it still running?");
  }
}

async function said(response: Response): Promise<Partial<Problem>> {
  try {
    const body: unknown = await response.json();
    return typeof body === "object" && body !== null ? (body as Partial<Problem>) : {};
  } catch {
    return {};
  }
}

export interface Place {
  entity: string;
  project: string;
}

export const api = {
  projects: (o?: Options) => ask<Projects>("/api/projects", o),
  runs: (p: Partial<Place>, params: Params, o?: Options) => ask<RunPage>(address("/api/runs", { ...p, ...params }), o),
  run: (p: Place, id: string, o?: Options) => ask<RunView>(path("runs", p.entity, p.project, id), o),
  patch: (p: Place, id: string, body: Partial<Pick<RunView, "name" | "notes" | "tags" | "group">>) =>
    ask<RunView>(path("runs", p.entity, p.project, id), { method: "PATCH", body }),
  remove: (p: Place, id: string) => ask<void>(path("runs", p.entity, p.project, id), { method: "DELETE" }),
  console: (p: Place, id: string, start: number, limit: number, o?: Options) =>
    ask<Console>(address(`${path("runs", p.entity, p.project, id)}/console`, { start, limit }), o),
  keys: (p: Place, filter: string, o?: Options) => ask<Keys>(address("/api/keys", { ...p, filter }), o),
  groups: (p: Place, params: Params, o?: Options) => ask<Groups>(address("/api/groups", { ...p, ...params }), o),
  curves: (p: Place, params: Params, o?: Options) => ask<Curves>(address("/api/curves", { ...p, ...params }), o),
  sweeps: (p: Partial<Place>, o?: Options) => ask<Sweeps>(address("/api/sweeps", { ...p }), o),
  sweep: (p: Place, id: string, o?: Options) => ask<SweepView>(path("sweeps", p.entity, p.project, id), o),
  importance: (p: Place, id: string, o?: Options) => ask<Importance>(path("sweeps", p.entity, p.project, id, "importance"), o),
  setSweep: (p: Place, id: string, state: string) => ask<SweepView>(path("sweeps", p.entity, p.project, id), { method: "PATCH", body: { state } }),
  alerts: (o?: Options) => ask<Alerts>("/api/alerts", o),
  addChannel: (kind: string, url: string) => ask<Alerts>("/api/alerts/channels", { body: { kind, url } }),
  removeChannel: (id: number) => ask<unknown>(path("alerts", "channels", String(id)), { method: "DELETE" }),
  testChannels: () => ask<Alerts>("/api/alerts/test", { method: "POST", body: {} }),
};
