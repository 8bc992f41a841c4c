import { defineConfig } from "@hey-api/openapi-ts";

export default defineConfig({
  // In a copy of this folder: the schema that your API serves, https://api.example.com/api/schema/
  input: "../../app/openapi.yaml",
  output: "src/client",
  logs: { file: false },
  plugins: [
    "@hey-api/typescript",
    "@hey-api/sdk",
    // A call that fails throws, as axios itself does.
    { name: "@hey-api/client-axios", throwOnError: true },
  ],
});
