import { Fragment } from "react";
import type { User } from "../client";

interface Props {
  users: User[] | undefined;
  busy: boolean;
}

export function UserTable({ users, busy }: Props) {
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
        {users?.map((user) => (
          <tr key={user.id}>
            <td>{user.id}</td>
            <td>{breakable(user.email)}</td>
            <td>{user.is_admin ? <span className="badge">Administrator</span> : "User"}</td>
          </tr>
        ))}
        {users?.length === 0 && (
          <tr>
            <td colSpan={3} className="empty">
              No users to show.
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
