// Builds the page into the Python package, so that the wheel carries it. Assets are never inlined: the server's
// Content-Security-Policy allows nothing but files of its own. `npm run dev` proxies to a real server: `besom server`, or
// the one of BESOM_API.
import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vitest/config";

export default defineConfig({
  plugins: [svelte()],
  build: {
    outDir: "../besom/server/static",
    emptyOutDir: true,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: "es2022",
    license: { fileName: "licenses.md" },
  },
  server: { host: "127.0.0.1", proxy: { "/api": { target: process.env.BESOM_API ?? "http://127.0.0.1:8080", changeOrigin: true } } },
  test: { environment: "happy-dom", include: ["src/**/*.test.ts"] },
});
