import { useMutation } from "@tanstack/react-query";
import { type SubmitEvent, useEffect, useRef } from "react";
import { logIn } from "./api";
import { Field } from "./components/Field";
import { Layout } from "./components/Layout";
import { ProblemAlert } from "./components/ProblemAlert";
import { toProblem } from "./problem";
import { queryClient, setSession } from "./session";

export function LoginPage({ notice }: { notice: string | undefined }) {
  const form = useRef<HTMLFormElement>(null);
  const login = useMutation({ mutationFn: logIn, onSuccess: (user) => setSession({ user }) });
  const problem = login.error && toProblem(login.error);

  // To where the person acts next: the field at fault, "Try again", or else the password.
  useEffect(() => {
    if (!login.error) return;
    const next = form.current?.querySelector<HTMLElement>(
      "[aria-invalid], [role=alert] button, [name=password]",
    );
    next?.focus();
    // Typing replaces what was wrong.
    if (next instanceof HTMLInputElement && next.name === "password") next.select();
  }, [login.error]);

  function submit(event: SubmitEvent<HTMLFormElement>) {
    event.preventDefault();
    // Not `login.isPending`, which a second click within the same frame does not see yet.
    if (queryClient.isMutating()) return;
    const data = new FormData(event.currentTarget);
    login.mutate({ email: String(data.get("email")), password: String(data.get("password")) });
  }

  return (
    <Layout title="Log in" narrow>
      {/* noValidate: the API says what is wrong, in one voice. */}
      <form ref={form} onSubmit={submit} noValidate className="card stack">
        {notice && !problem && <output className="notice">{notice}</output>}
        {problem && (
          <ProblemAlert
            problem={problem}
            formFields={["email", "password"]}
            onRetry={() => form.current?.requestSubmit()}
          />
        )}
        <Field
          label="Email"
          name="email"
          type="email"
          autoComplete="username"
          required
          errors={problem?.fields.email}
        />
        <Field
          label="Password"
          name="password"
          type="password"
          autoComplete="current-password"
          required
          errors={problem?.fields.password}
        />
        {/* Not `disabled`: that would take the focus away. */}
        <button className="primary" aria-disabled={login.isPending} aria-busy={login.isPending}>
          Log in
        </button>
      </form>
    </Layout>
  );
}
