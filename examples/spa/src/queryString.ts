import { useMemo, useSyncExternalStore } from "react";

/** The page's query string as state: a reload keeps it, and the back button goes through it. */
export function useQueryString(): URLSearchParams {
  const search = useSyncExternalStore(subscribe, () => location.search);
  return useMemo(() => new URLSearchParams(search), [search]);
}

/** Sets the parameters that have a value, and removes those that are empty. */
export function changeQueryString(changes: Record<string, string>): void {
  const parameters = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(changes)) {
    if (value) parameters.set(name, value);
    else parameters.delete(name);
  }
  const search = parameters.size ? `?${parameters}` : "";
  if (search === location.search) return;
  history.pushState(null, "", location.pathname + search);
  // The browser tells of "back", but not of this.
  dispatchEvent(new PopStateEvent("popstate"));
}

function subscribe(listener: () => void): () => void {
  addEventListener("popstate", listener);
  return () => removeEventListener("popstate", listener);
}
