// Numbers, times and durations as people read them. Pure: "now" is an argument.

/** A number as it travels: JSON has no NaN or Infinity, so the server writes these as words. */
export type Wire = number | string | null | undefined;

/** The number behind a wire value; null when there is none. */
export function real(value: unknown): number | null {
  if (typeof value === "number") return value;
  if (value === "NaN") return NaN;
  if (value === "Infinity") return Infinity;
  if (value === "-Infinity") return -Infinity;
  return null;
}

const EXPONENT = /\.?0*e([+-])0*(\d)/;

/** 3e-4 rather than 0.000300 or 3.00e-4. */
function exponential(value: number, digits: number): string {
  return value.toExponential(digits - 1).replace(EXPONENT, (_, sign: string, digit: string) => `e${sign === "-" ? "-" : ""}${digit}`);
}

/** A measured value in four significant digits: 0.8357, 61,240, 4.213e-5. */
export function value(x: unknown): string {
  const v = real(x);
  if (v === null) return typeof x === "string" ? x : "–";
  if (Number.isNaN(v)) return "NaN";
  if (!Number.isFinite(v)) return v > 0 ? "∞" : "−∞";
  if (v === 0) return "0";
  const size = Math.abs(v);
  if (size >= 1e9 || size < 1e-3) return minus(exponential(v, 4));
  if (Number.isInteger(v)) return count(v);
  if (size >= 1000) return minus(v.toLocaleString("en-US", { maximumFractionDigits: size >= 10000 ? 0 : 1 }));
  return minus(v.toPrecision(4));
}

/** A deviation beside a value: ± .0061. */
export function deviation(x: unknown): string {
  const v = real(x);
  if (v === null || !Number.isFinite(v)) return "";
  if (v === 0) return "± 0";
  const size = Math.abs(v);
  const text = size >= 1e6 || size < 1e-4 ? exponential(size, 2) : size >= 100 ? count(Math.round(size)) : size.toPrecision(2);
  return `± ${text.replace(/^0\./, ".")}`;
}

/** A configured value in its shortest true spelling: 0.0004 is 4e-4, "adam" is adam. */
export function setting(x: unknown): string {
  if (typeof x === "number") {
    const size = Math.abs(x);
    if (x !== 0 && (size < 1e-3 || size >= 1e7)) {
      const [mantissa = "", exponent = ""] = x.toExponential().split("e");
      return `${mantissa}e${exponent.replace("+", "")}`;
    }
    return String(x);
  }
  if (typeof x === "string") return x;
  if (x === null || x === undefined) return "–";
  return JSON.stringify(x);
}

/** A parameter in a list: like setting, but no more than four digits. */
export function brief(x: unknown): string {
  if (typeof x !== "number" || Number.isInteger(x)) return setting(x);
  return setting(Number(x.toPrecision(3)));
}

export function count(n: number): string {
  return minus(Math.round(n).toLocaleString("en-US"));
}

/** A signed difference: +.015, −.002. */
export function signed(x: number): string {
  const text = Math.abs(x) < 1e-3 && x !== 0 ? exponential(Math.abs(x), 2) : Math.abs(x).toPrecision(2);
  return `${x < 0 ? "−" : "+"}${text.replace(/^0\./, ".")}`;
}

function minus(text: string): string {
  return text.startsWith("-") ? `−${text.slice(1)}` : text;
}

/** Seconds as 42 s, 9 min, 3 h 05, 2 d 4 h. */
export function duration(seconds: number): string {
  if (!Number.isFinite(seconds)) return "–";
  const s = Math.max(0, seconds);
  if (s < 10) return `${s.toFixed(1)} s`;
  if (s < 90) return `${Math.round(s)} s`;
  if (s < 3600) return `${Math.round(s / 60)} min`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${String(Math.floor((s % 3600) / 60)).padStart(2, "0")}`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}

/** How long ago, in one unit: now, 8 min ago, 3 h ago, 12 d ago. */
export function ago(time: number, now: number): string {
  const s = now - time;
  if (s < 45) return "now";
  if (s < 3600) return `${Math.max(1, Math.round(s / 60))} min ago`;
  if (s < 86400) return `${Math.round(s / 3600)} h ago`;
  return `${Math.round(s / 86400)} d ago`;
}

/** Time of day, or the date too when it is not today. */
export function clock(time: number, now: number): string {
  const date = new Date(time * 1000);
  const pad = (n: number) => String(n).padStart(2, "0");
  const day = `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}`;
  const hours = `${pad(date.getHours())}:${pad(date.getMinutes())}`;
  return new Date(now * 1000).toDateString() === date.toDateString() ? `${hours}:${pad(date.getSeconds())}` : `${day} ${hours}`;
}

/** Hours, minutes and seconds of a time: 12:39:41. */
export function timeOfDay(time: number): string {
  return new Date(time * 1000).toTimeString().slice(0, 8);
}

/** "1 run", "5 runs". */
export function plural(n: number, noun: string): string {
  return `${count(n)} ${noun}${n === 1 ? "" : "s"}`;
}
