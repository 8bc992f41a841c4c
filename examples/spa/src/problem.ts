import { HttpStatusCode, isAxiosError } from "axios";
import type { Error as ApiError } from "./client";

/** What to tell a person about a request that failed. */
export interface Problem {
  message: string;
  /** What is wrong with each field, under the names of the API. */
  fields: Record<string, string[]>;
  /** Finds the request in the API's logs. */
  requestId?: string | undefined;
  /** The same request may work later: nothing in it is wrong. */
  canRetry: boolean;
}

export function toProblem(error: unknown): Problem {
  if (!isAxiosError<Partial<ApiError>>(error)) {
    const message = error instanceof Error ? error.message : String(error);
    return { message, fields: {}, canRetry: false };
  }
  const { response } = error;
  if (!response) {
    const message = "The API did not answer. Check your connection, then try again.";
    return { message, fields: {}, canRetry: true };
  }
  const { status, data, headers } = response;
  const canRetry = status >= HttpStatusCode.InternalServerError;
  return {
    message:
      (status === HttpStatusCode.TooManyRequests && waitMessage(headers["retry-after"])) ||
      data?.message ||
      (canRetry
        ? `The API cannot answer now (status ${status}).`
        : `This answer (status ${status}) is not the API's: check the address in /config.json.`),
    fields: data?.extra?.fields ?? {},
    requestId: canRetry ? (data?.request_id ?? headers["x-request-id"]) : undefined,
    canRetry,
  };
}

function waitMessage(retryAfter: string | undefined): string | undefined {
  const seconds = Number(retryAfter);
  if (!seconds) return undefined;
  const [value, unit] = seconds > 90 ? [Math.ceil(seconds / 60), "minute"] : [seconds, "second"];
  const format = new Intl.NumberFormat("en", { style: "unit", unit, unitDisplay: "long" });
  return `Too many attempts. Try again in ${format.format(value)}.`;
}
