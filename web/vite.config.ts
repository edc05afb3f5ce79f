// Builds the page into the Python package, so that the wheel carries it. Assets are never inlined: the server's
// Content-Security-Policy allows nothing but files of its own. `BESOM_API=http://127.0.0.1:8080 npm run dev`
// proxies to a real server; without it the dev server replays the simulated data of mock/.
import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vitest/config";
import { mock } from "./mock/plugin.ts";

export default defineConfig(({ command, mode }) => {
  const api = process.env.BESOM_API;
  const dev = command === "serve" && mode !== "test";
  return {
    plugins: [svelte(), ...(dev && !api ? [mock()] : [])],
    build: {
      outDir: "../besom/server/static",
      emptyOutDir: true,
      assetsInlineLimit: 0,
      modulePreload: { polyfill: false },
      target: "es2022",
      license: { fileName: "licenses.md" },
    },
    server: { host: "127.0.0.1", proxy: api ? { "/api": { target: api, changeOrigin: true } } : undefined },
    test: { environment: "happy-dom", include: ["src/**/*.test.ts"] },
  };
});
