// The palette: twenty series colours that stay apart for every kind of colour vision, the tokens that canvases need, and
// the rule that gives a line its slot.
import type { Theme } from "./theme";

export interface Slot {
  name: string;
  light: string;
  dark: string;
  dash: number[];
}

export const SLOTS: readonly Slot[] = [
  { name: "blue", light: "#4463c8", dark: "#7195fa", dash: [] },
  { name: "brick", light: "#942e0c", dark: "#c2502f", dash: [] },
  { name: "coral", light: "#cf6d69", dark: "#fdaca7", dash: [] },
  { name: "violet", light: "#582587", dark: "#8f59c9", dash: [] },
  { name: "sky", light: "#0796c2", dark: "#93ddfd", dash: [] },
  { name: "magenta", light: "#984485", dark: "#c872b2", dash: [] },
  { name: "leaf", light: "#5d861b", dark: "#79a638", dash: [] },
  { name: "teal", light: "#055841", dark: "#2b8c6c", dash: [] },
  { name: "navy", light: "#2051a1", dark: "#8eb9fe", dash: [] },
  { name: "olive", light: "#656c08", dark: "#a6af51", dash: [] },
  { name: "orange", light: "#d25c3a", dark: "#fe9d80", dash: [6, 3] },
  { name: "iris", light: "#727bd5", dark: "#98a3fe", dash: [6, 3] },
  { name: "cyan", light: "#398c86", dark: "#4b9b95", dash: [6, 3] },
  { name: "umber", light: "#5e330e", dark: "#bb8e6d", dash: [6, 3] },
  { name: "rose", light: "#b46375", dark: "#febdc8", dash: [6, 3] },
  { name: "fern", light: "#366c3b", dark: "#83c486", dash: [6, 3] },
  { name: "lilac", light: "#9877ac", dark: "#c294de", dash: [2, 3] },
  { name: "slate", light: "#42586c", dark: "#6c8399", dash: [2, 3] },
  { name: "plum", light: "#68365a", dark: "#d688be", dash: [2, 3] },
  { name: "mauve", light: "#925f93", dark: "#dbacdb", dash: [2, 3] },
];

/** The tokens of app.css that a canvas needs as plain hex. */
export const INKS = {
  light: {
    surface: "#fefdfd",
    sunken: "#f0eeeb",
    grid: "#eeedea",
    line1: "#e4e3df",
    line2: "#d2d1cd",
    line3: "#94928d",
    text1: "#211f1b",
    text2: "#51504b",
    text3: "#6c6a65",
    text4: "#9a9894",
    ink: "#211f1b",
    onInk: "#fbfaf8",
    strawFill: "#f9f1ca",
    strawLine: "#ab7d0c",
    strawSolid: "#eabf3a",
    contextLine: "#c8c7c4",
    contextMark: "#a9a7a4",
    running: "#0871c1",
    finished: "#377655",
    failed: "#d02c2a",
    crashed: "#b8551b",
    bandOpacity: 0.13,
    ramp: ["#c2dedf", "#66b9cc", "#2382ba", "#2f479b", "#291b63"],
  },
  dark: {
    surface: "#161514",
    sunken: "#0b0a08",
    grid: "#1f1e1c",
    line1: "#252422",
    line2: "#363532",
    line3: "#6b6964",
    text1: "#ecebe7",
    text2: "#b6b4b0",
    text3: "#959490",
    text4: "#62605d",
    ink: "#ecebe7",
    onInk: "#12110f",
    strawFill: "#342c12",
    strawLine: "#e1b850",
    strawSolid: "#efc64a",
    contextLine: "#3a3936",
    contextMark: "#565552",
    running: "#5cabf2",
    finished: "#76b590",
    failed: "#f66d67",
    crashed: "#f49752",
    bandOpacity: 0.16,
    ramp: ["#323e50", "#3e5a8d", "#3b89c6", "#4dc3dd", "#b6f2f1"],
  },
} as const;
export type Inks = (typeof INKS)[Theme];

export function colour(slot: number, theme: Theme): string {
  return (SLOTS[slot % SLOTS.length] as Slot)[theme];
}

/**
 * Slots for the visible ids: an id that had one keeps it, a new one gets the least-used slot, the lowest first.
 * `known` is the view's memory and may hold ids that are not visible now; the answer holds these too.
 */
export function allocate(known: ReadonlyMap<string, number>, visible: readonly string[]): Map<string, number> {
  const slots = new Map(known);
  const used = new Array<number>(SLOTS.length).fill(0);
  for (const id of visible) {
    const slot = slots.get(id);
    if (slot !== undefined) used[slot] = (used[slot] ?? 0) + 1;
  }
  for (const id of visible) {
    if (slots.has(id)) continue;
    const slot = used.indexOf(Math.min(...used));
    used[slot] = (used[slot] ?? 0) + 1;
    slots.set(id, slot);
  }
  return slots;
}

/** The ramp at t in [0, 1]: 0 is near the page, 1 (the good end) is furthest from it. */
export function ramp(t: number, theme: Theme): string {
  const stops = INKS[theme].ramp;
  const at = Math.min(0.9999, Math.max(0, Number.isFinite(t) ? t : 0)) * (stops.length - 1);
  const i = Math.floor(at);
  return mix(stops[i] as string, stops[i + 1] as string, at - i);
}

function mix(a: string, b: string, t: number): string {
  const part = (hex: string, i: number) => parseInt(hex.slice(1 + 2 * i, 3 + 2 * i), 16);
  const parts = [0, 1, 2].map((i) => Math.round(part(a, i) * (1 - t) + part(b, i) * t));
  return `#${parts.map((p) => p.toString(16).padStart(2, "0")).join("")}`;
}

/** A hex colour with an opacity in [0, 1]. */
export function fade(hex: string, opacity: number): string {
  return hex + Math.round(opacity * 255).toString(16).padStart(2, "0");
}
