// Light or dark: the system's preference, unless the reader picked one.
export type Theme = "light" | "dark";

/** What the page shows, from what was stored and what the system prefers. */
export function resolve(stored: string | null | undefined, systemDark: boolean): Theme {
  if (stored === "light" || stored === "dark") return stored;
  return systemDark ? "dark" : "light";
}
