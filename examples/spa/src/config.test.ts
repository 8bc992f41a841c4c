import { expect, test } from "vitest";
import { isOrigin } from "./config";

test.each(["http://localhost:8000", "https://api.example.com", "https://api.example.com:8443"])(
  "%s is the address of an API",
  (text) => expect(isOrigin(text)).toBe(true),
);

test.each([
  "",
  "api.example.com",
  "//api.example.com",
  "https://api.example.com/",
  "https://api.example.com/api",
  "https://user:password@api.example.com",
  "https://api.example.com?key=value",
  "ftp://api.example.com",
  "javascript:alert(1)",
  "null",
])("%j is not", (text) => expect(isOrigin(text)).toBe(false));
