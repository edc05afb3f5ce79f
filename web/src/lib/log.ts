// Console lines for the eye: control sequences taken out, and a guess at the level.

const CONTROL = /\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)|[@-Z\\-_])|[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/g;

/** The text without colours and cursor moves; of a line drawn over with \r, the last drawing. */
export function plain(text: string): string {
  const last = text.replace(/\r+$/, "").split("\r").pop() ?? "";
  return last.replace(CONTROL, "");
}

export function levelOf(text: string): "error" | "warn" | "" {
  if (/\b(error|exception|critical|fatal|traceback)\b/i.test(text) || /[a-z](Error|Exception)\b/.test(text)) return "error";
  return /\bwarn(ing)?\b/i.test(text) || /[a-z]Warning\b/.test(text) ? "warn" : "";
}
