// Keyboard: single keys, and two-key sequences that begin with g. Keys typed into a field are the field's.

export interface Press {
  key: string;
  ctrlKey: boolean;
  metaKey: boolean;
  altKey: boolean;
  target: EventTarget | null;
}

/** Turns key presses into commands such as "/", "?", "g r". Returns the reader of presses. */
export function sequences(now: () => number, patience = 1200): (press: Press) => string | null {
  let pending = 0;
  return (press) => {
    if (press.ctrlKey || press.metaKey || press.altKey || typing(press.target)) return press.key === "Escape" ? "Escape" : null;
    if (pending && now() - pending < patience) {
      pending = 0;
      return `g ${press.key}`;
    }
    pending = press.key === "g" ? now() : 0;
    return pending ? null : press.key;
  };
}

function typing(target: EventTarget | null): boolean {
  const element = target as (HTMLElement & { type?: string }) | null;
  const tag = element?.tagName;
  if (tag === "TEXTAREA" || tag === "SELECT") return true;
  return tag === "INPUT" ? !["checkbox", "range", "button"].includes(element?.type ?? "") : element?.isContentEditable === true;
}

export const SHEET: [string, string][] = [
  ["/", "find in the list"],
  ["Shift F", "edit the filter as text"],
  ["g w", "workspace"],
  ["g r", "runs"],
  ["g s", "sweeps"],
  ["g a", "alerts"],
  ["g p", "projects"],
  ["[  ]", "less, more smoothing"],
  ["u", "group by"],
  ["j  k", "next, previous row"],
  ["x", "select the row"],
  ["Enter", "open the row"],
  ["l", "find in the log"],
  ["d", "light or dark"],
  ["Esc", "close the top layer"],
  ["?", "this sheet"],
];
