// The theme as a reactive value; charts draw again when it changes.
import { resolve, type Theme } from "../lib/theme";

const KEY = "besom.theme";

function stored(): string | null {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null;
  }
}

class ThemeState {
  current: Theme = $state("light");
  #system = matchMedia("(prefers-color-scheme: dark)");

  constructor() {
    this.current = resolve(stored(), this.#system.matches);
    this.#system.addEventListener("change", () => (this.current = resolve(stored(), this.#system.matches)));
  }

  toggle(): void {
    this.current = this.current === "dark" ? "light" : "dark";
    document.documentElement.dataset.theme = this.current;
    try {
      localStorage.setItem(KEY, this.current);
    } catch {
      // The choice then lasts as long as the page.
    }
  }
}

export const theme = new ThemeState();
