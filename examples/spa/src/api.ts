import { HttpStatusCode, isAxiosError } from "axios";
import { authLogin, authLogout, authMe, type CurrentUser, type LoginRequest } from "./client";
import { client } from "./client/client.gen";

/**
 * For browsers that withhold the cookie. The second choice: any script that gets onto the page can
 * read this key, which it cannot do with an HttpOnly cookie. sessionStorage keeps it over a reload,
 * and forgets it with the tab.
 */
let sessionKey = readSessionKey();

export function configureClient(api: string): void {
  client.setConfig({
    baseURL: api,
    // Sends and stores the session cookie although the API is on another origin.
    withCredentials: true,
    timeout: 30_000,
    // An answer that is not JSON is an error, and not a string where an object should be.
    transitional: { silentJSONParsing: false },
  });
  client.instance.interceptors.request.use((request) => {
    if (sessionKey) request.headers.set("Authorization", `Session ${sessionKey}`);
    return request;
  });
  client.instance.interceptors.response.use(undefined, (error) => {
    if (isUnauthorized(error)) keepSessionKey(null);
    throw error;
  });
}

/** Logs in with the cookie, or with the key where the browser withholds the cookie. */
export async function logIn(credentials: LoginRequest): Promise<CurrentUser> {
  keepSessionKey(null);
  const { data } = await authLogin({ body: credentials });
  const user = await currentUser();
  if (user) return user;
  if (!data.session) {
    throw new Error(
      "Your browser blocks the cookie of the API, so you cannot stay logged in. Allow " +
        "third-party cookies for this site, or open it under the API's own domain.",
    );
  }
  keepSessionKey(data.session);
  return (await authMe()).data;
}

/** Ends the session on the server; one that has ended already is as good. */
export async function logOut(): Promise<void> {
  try {
    await authLogout();
  } catch (error) {
    if (!isUnauthorized(error)) throw error;
  }
  keepSessionKey(null);
}

/** Who is logged in, or null. */
export async function currentUser(): Promise<CurrentUser | null> {
  try {
    return (await authMe()).data;
  } catch (error) {
    if (isUnauthorized(error)) return null;
    throw error;
  }
}

export function isUnauthorized(error: unknown): boolean {
  return isAxiosError(error) && error.response?.status === HttpStatusCode.Unauthorized;
}

function readSessionKey(): string | null {
  try {
    return sessionStorage.getItem("session");
  } catch {
    // A browser that blocks all cookies blocks storage too: then a reload ends the session.
    return null;
  }
}

function keepSessionKey(key: string | null): void {
  sessionKey = key;
  try {
    if (key) sessionStorage.setItem("session", key);
    else sessionStorage.removeItem("session");
  } catch {
    // As above.
  }
}
