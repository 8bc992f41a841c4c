import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

// Another port would be another origin, which the API does not know: better to stop.
const port = { port: 5173, strictPort: true };

export default defineConfig({
  plugins: [react()],
  server: port,
  preview: port,
});
