import { keepPreviousData, useMutation, useQuery } from "@tanstack/react-query";
import { type SubmitEvent, useEffect, useRef } from "react";
import { logOut } from "./api";
import { type CurrentUser, userList, type UserListData } from "./client";
import { Field } from "./components/Field";
import { Layout } from "./components/Layout";
import { Pager } from "./components/Pager";
import { ProblemAlert } from "./components/ProblemAlert";
import { UserTable } from "./components/UserTable";
import { toProblem } from "./problem";
import { changeQueryString, useQueryString } from "./queryString";
import { setSession } from "./session";

const FILTERS = ["email", "id", "is_admin"];
const PARAMETERS = [...FILTERS, "limit", "offset"];
const NOTHING = Object.fromEntries(PARAMETERS.map((name) => [name, ""]));

export function UsersPage({ user }: { user: CurrentUser }) {
  const parameters = useQueryString();
  // As typed, whatever the type: the API judges it, and says what is wrong.
  const query = Object.fromEntries(
    [...parameters].filter(([name]) => PARAMETERS.includes(name)),
  ) as UserListData["query"];
  const users = useQuery({
    // What one user saw is not for the next.
    queryKey: ["users", user.id, query],
    queryFn: async ({ signal }) => (await userList({ query, signal })).data,
    placeholderData: keepPreviousData,
  });
  const logout = useMutation({
    mutationFn: logOut,
    onSuccess: () => {
      changeQueryString(NOTHING);
      setSession({ user: null });
    },
  });
  const problem = users.error && toProblem(users.error);

  const header = (
    <>
      <p className="signed-in">
        Signed in as <strong>{user.email}</strong>{" "}
        {user.is_admin && <span className="badge">Administrator</span>}
      </p>
      <button type="button" aria-busy={logout.isPending} onClick={() => logout.mutate()}>
        Log out
      </button>
    </>
  );

  return (
    <Layout title="Users" header={header}>
      {logout.error && (
        <ProblemAlert
          problem={toProblem(logout.error)}
          failed="Logging out failed."
          onRetry={() => logout.mutate()}
          retryLabel="Try logging out again"
        />
      )}
      <Filters parameters={parameters} errors={problem?.fields ?? {}} />
      {problem ? (
        <ProblemAlert
          problem={problem}
          formFields={FILTERS}
          onRetry={() => void users.refetch()}
        />
      ) : (
        <div className="card">
          <UserTable page={users.data} busy={users.isFetching} />
          <Pager page={users.data} />
        </div>
      )}
    </Layout>
  );
}

interface FiltersProps {
  parameters: URLSearchParams;
  errors: Record<string, string[]>;
}

function Filters({ parameters, errors }: FiltersProps) {
  const form = useRef<HTMLFormElement>(null);

  // The back button changes the query string, and the form follows.
  useEffect(() => {
    for (const name of FILTERS) {
      const field = form.current?.elements.namedItem(name) as HTMLInputElement | HTMLSelectElement;
      field.value = parameters.get(name) ?? "";
    }
  }, [parameters]);

  const invalid = FILTERS.find((name) => errors[name]);
  useEffect(() => {
    if (invalid) form.current?.querySelector<HTMLElement>("[aria-invalid]")?.focus();
  }, [invalid]);

  function apply(event: SubmitEvent<HTMLFormElement>) {
    event.preventDefault();
    const data = new FormData(event.currentTarget);
    const values = FILTERS.map((name) => [name, String(data.get(name)).trim()]);
    changeQueryString({ ...Object.fromEntries(values), offset: "" });
  }

  function clear() {
    form.current?.reset();
    changeQueryString(NOTHING);
  }

  return (
    <search aria-label="Users">
      <form ref={form} onSubmit={apply} noValidate className="filters">
        <Field
          label="Email"
          name="email"
          hint="the whole address"
          inputMode="email"
          autoComplete="off"
          errors={errors.email}
        />
        <Field
          label="Id"
          name="id"
          inputMode="numeric"
          autoComplete="off"
          errors={errors.id}
        />
        <Field label="Role" name="is_admin" errors={errors.is_admin}>
          <option value="">All</option>
          <option value="true">Administrators</option>
          <option value="false">Others</option>
        </Field>
        <div className="buttons">
          <button className="primary">Filter</button>
          <button type="button" onClick={clear}>
            Clear
          </button>
        </div>
      </form>
    </search>
  );
}
