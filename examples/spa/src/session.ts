import { QueryCache, QueryClient, useQuery } from "@tanstack/react-query";
import { currentUser, isUnauthorized } from "./api";
import type { CurrentUser } from "./client";

interface Session {
  user: CurrentUser | null;
  /** Why nobody is logged in, where that is a surprise. */
  notice?: string;
}

export const queryClient = new QueryClient({
  queryCache: new QueryCache({
    onError: (error) => {
      if (isUnauthorized(error)) {
        setSession({ user: null, notice: "Your session has ended. Log in again." });
      }
    },
  }),
  defaultOptions: {
    // A failure is shown at once, with a button that tries again; also while offline.
    queries: { retry: false, networkMode: "always", refetchOnWindowFocus: false },
    mutations: { networkMode: "always" },
  },
});

export function useSession() {
  return useQuery<Session>({
    queryKey: ["session"],
    queryFn: async () => ({ user: await currentUser() }),
    staleTime: Infinity,
    // Somebody may have logged in or out in another tab.
    refetchOnWindowFocus: "always",
  });
}

export function setSession(session: Session): void {
  if (!session.user) queryClient.removeQueries({ queryKey: ["users"] });
  queryClient.setQueryData(["session"], session);
}
