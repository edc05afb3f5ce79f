// Where the page is: path and query of the address bar, as reactive values. Links of this page are followed without a load.
import { parse } from "../lib/route";
import { decode, encode, type View } from "../lib/view";

class Router {
  path = $state(location.pathname);
  search = $state(location.search);
  route = $derived(parse(this.path));
  view = $derived(decode(this.search));

  start(): void {
    addEventListener("popstate", () => this.#read());
    document.addEventListener("click", (event) => {
      const link = (event.target as Element).closest?.("a[href]") as HTMLAnchorElement | null;
      if (!link || event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
      if (link.target || link.origin !== location.origin || link.pathname.startsWith("/api/") || link.hasAttribute("download")) return;
      event.preventDefault();
      this.go(link.pathname + link.search);
    });
  }

  go(href: string): void {
    if (href !== location.pathname + location.search) history.pushState(null, "", href);
    this.#read();
    scrollTo(0, 0);
  }

  /** Change parts of the view. `quiet` replaces the address (sliders, typing); else one step of the back button. */
  set(change: Partial<View>, quiet = false): void {
    const search = encode({ ...this.view, ...change });
    if (search === location.search) return;
    history[quiet ? "replaceState" : "pushState"](null, "", location.pathname + search);
    this.#read();
  }

  #read(): void {
    this.path = location.pathname;
    this.search = location.search;
  }
}

export const router = new Router();
