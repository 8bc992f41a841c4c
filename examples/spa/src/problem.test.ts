import { AxiosError, AxiosHeaders, type InternalAxiosRequestConfig } from "axios";
import { expect, test } from "vitest";
import { toProblem } from "./problem";

const BODY = { message: "The request is not valid.", extra: {}, request_id: "4f9f" };

function failure(status: number, data: unknown, headers: Record<string, string> = {}): AxiosError {
  const config: InternalAxiosRequestConfig = { headers: new AxiosHeaders() };
  const response = { status, data, headers, config, statusText: "" };
  return new AxiosError("", undefined, config, undefined, response);
}

test("a refused request names its fields and cannot be retried", () => {
  const fields = { email: ["Enter a valid email address."] };
  expect(toProblem(failure(400, { ...BODY, extra: { fields } }))).toEqual({
    message: "The request is not valid.",
    fields,
    requestId: undefined,
    canRetry: false,
  });
});

test("a failure of the server can be retried and has the request id", () => {
  expect(toProblem(failure(500, BODY))).toMatchObject({ requestId: "4f9f", canRetry: true });
  // From something in front of the API, which does not speak JSON.
  expect(toProblem(failure(502, "<html>", { "x-request-id": "7a7a" }))).toEqual({
    message: "The API cannot answer now (status 502).",
    fields: {},
    requestId: "7a7a",
    canRetry: true,
  });
});

test("no answer can be retried", () => {
  const problem = toProblem(new AxiosError("Network Error", "ERR_NETWORK"));
  expect(problem.message).toMatch(/did not answer/);
  expect(problem.canRetry).toBe(true);
});

test("a page in place of the API is told as what it is", () => {
  expect(toProblem(failure(200, "<html>")).message).toMatch(/check the address in \/config.json/);
});

test.each([
  ["1", "Too many attempts. Try again in 1 second."],
  ["90", "Too many attempts. Try again in 90 seconds."],
  ["91", "Too many attempts. Try again in 2 minutes."],
  ["900", "Too many attempts. Try again in 15 minutes."],
  ["", BODY.message],
  ["Sun, 22 Nov 2026 18:00:00 GMT", BODY.message],
])("too many requests, with Retry-After %j", (retryAfter, message) => {
  expect(toProblem(failure(429, BODY, { "retry-after": retryAfter })).message).toBe(message);
});
