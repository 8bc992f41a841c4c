import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

export default defineConfig({
  plugins: [react()],
  // Another port would be another origin, which the API does not know: better to stop.
  server: { port: 5173, strictPort: true },
});
