// Our own events on window, so that pages can listen with `onbesom:key`.
declare namespace svelteHTML {
  interface SvelteWindowAttributes {
    "onbesom:key"?: (event: CustomEvent<string>) => void;
  }
}
declare module "svelte/elements" {
  interface SvelteWindowAttributes {
    "onbesom:key"?: (event: CustomEvent<string>) => void;
  }
}
export {};
