import { Fragment } from "react";
import type { UserPage } from "../client";

interface Props {
  page: UserPage | undefined;
  busy: boolean;
}

export function UserTable({ page, busy }: Props) {
  return (
    <table aria-labelledby="title" aria-busy={busy}>
      <thead>
        <tr>
          <th scope="col">Id</th>
          <th scope="col">Email</th>
          <th scope="col">Role</th>
        </tr>
      </thead>
      <tbody>
        {page?.results.map((user) => (
          <tr key={user.id}>
            <td>{user.id}</td>
            <td>{breakable(user.email)}</td>
            <td>{user.is_admin ? <span className="badge">Administrator</span> : "User"}</td>
          </tr>
        ))}
        {page?.results.length === 0 && (
          <tr>
            <td colSpan={3} className="empty">
              {page.count
                ? "This page is past the last one. “Previous” leads back to that."
                : "No users to show."}
            </td>
          </tr>
        )}
      </tbody>
    </table>
  );
}

/** Lets a narrow screen break the line before the @ rather than within a word. */
function breakable(email: string) {
  return email.split(/(?=@)/).map((part, index) => (
    <Fragment key={index}>
      <wbr />
      {part}
    </Fragment>
  ));
}
