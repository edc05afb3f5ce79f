// Addresses of pages, both ways. No hash: the server answers index.html to any path outside /api.
export type Route =
  | { page: "projects" }
  | { page: "alerts"; entity?: string; project?: string }
  | { page: "workspace" | "runs" | "sweeps"; entity: string; project: string }
  | { page: "run" | "sweep"; entity: string; project: string; id: string }
  | { page: "lost" };

export function parse(pathname: string): Route {
  let parts: string[];
  try {
    parts = pathname.split("/").filter(Boolean).map(decodeURIComponent);
  } catch {
    return { page: "lost" };
  }
  const [entity, project, noun, id] = parts;
  if (!entity || (parts.length === 1 && entity === "projects")) return { page: "projects" };
  if (parts.length === 1 && entity === "alerts") return { page: "alerts" };
  if (!project || parts.length > 4) return { page: "lost" };
  if (!noun || noun === "workspace") return id ? { page: "lost" } : { page: "workspace", entity, project };
  if (noun === "alerts" && !id) return { page: "alerts", entity, project };
  if (noun === "runs") return id ? { page: "run", entity, project, id } : { page: "runs", entity, project };
  if (noun === "sweeps") return id ? { page: "sweep", entity, project, id } : { page: "sweeps", entity, project };
  return { page: "lost" };
}

export function link(...parts: string[]): string {
  return `/${parts.map(encodeURIComponent).join("/")}`;
}
