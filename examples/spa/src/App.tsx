import { useEffect, useRef } from "react";
import { ProblemAlert } from "./components/ProblemAlert";
import { LoginPage } from "./LoginPage";
import { toProblem } from "./problem";
import { useSession } from "./session";
import { UsersPage } from "./UsersPage";

export function App() {
  const session = useSession();
  const loggedIn = session.data && session.data.user !== null;
  useFocusOnChange(loggedIn);

  // Only while nothing is known: a question that fails later changes nothing.
  if (session.isError && !session.data) {
    return (
      <main className="narrow">
        <ProblemAlert problem={toProblem(session.error)} onRetry={() => void session.refetch()} />
      </main>
    );
  }
  if (!session.data) return <main aria-busy="true" />;
  if (!session.data.user) return <LoginPage notice={session.data.notice} />;
  return <UsersPage user={session.data.user} />;
}

/** On a new screen, keyboards and screen readers start at its title; at first, at the top. */
function useFocusOnChange(screen: unknown) {
  const previous = useRef(screen);
  useEffect(() => {
    if (previous.current !== undefined && previous.current !== screen) {
      document.getElementById("title")?.focus();
    }
    previous.current = screen;
  }, [screen]);
}
