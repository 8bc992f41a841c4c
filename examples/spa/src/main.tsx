import { QueryClientProvider } from "@tanstack/react-query";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./App";
import { configureClient } from "./api";
import { ProblemAlert } from "./components/ProblemAlert";
import { readApiAddress } from "./config";
import { toProblem } from "./problem";
import { queryClient } from "./session";
import "./style.css";

const root = createRoot(document.getElementById("root")!);
try {
  configureClient(await readApiAddress());
  root.render(
    <StrictMode>
      <QueryClientProvider client={queryClient}>
        <App />
      </QueryClientProvider>
    </StrictMode>,
  );
} catch (error) {
  root.render(
    <main className="narrow">
      <ProblemAlert problem={toProblem(error)} />
    </main>,
  );
}
