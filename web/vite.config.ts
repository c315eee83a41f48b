// SPDX-License-Identifier: GPL-3.0-or-later
import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vite";

/** The three pages. Each is served at `/` by its own server, so each is built alone, with relative addresses. */
const PAGES: Record<string, { port: number; api: string }> = {
  kiosk: { port: 5181, api: "http://127.0.0.1:8081" },
  console: { port: 5180, api: "http://127.0.0.1:8080" },
  office: { port: 5190, api: "http://127.0.0.1:8090" },
};

export default defineConfig(({ mode, command }) => {
  // Tools that only read this file come without a page's mode; a build without one would land in the wrong folder.
  const name = command === "build" || mode in PAGES ? mode : "kiosk";
  const page = PAGES[name];
  if (page === undefined) {
    throw new Error(`--mode must be one of ${Object.keys(PAGES).join(", ")}; it was "${mode}".`);
  }
  return {
    root: name,
    base: "./",
    publicDir: false,
    // The checker reads svelte.config.js; the build must not depend on the directory it was started in.
    plugins: [svelte({ configFile: "../svelte.config.js" })],
    build: {
      outDir: `../dist/${name}`,
      emptyOutDir: true,
      target: "chrome110",
      cssTarget: "chrome110",
      // No data: addresses, so that a page works under a content security policy of 'self'.
      assetsInlineLimit: 0,
      modulePreload: { polyfill: false },
      reportCompressedSize: false,
      // three.js is one part of 550 kB, fetched only where something is drawn in space.
      chunkSizeWarningLimit: 700,
    },
    server: {
      host: "127.0.0.1",
      port: page.port,
      strictPort: true,
      fs: { allow: ["..", "../../content/i18n"] },
      proxy: { "/api": { target: page.api, ws: true } },
    },
  };
});
