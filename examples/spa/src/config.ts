/** Where the API is. Read at start and not at build time: one build serves everywhere. */
export async function readApiAddress(): Promise<string> {
  const expected = 'It must hold {"api": "https://api.example.com"}: scheme and host, no path.';
  let api: unknown;
  try {
    const response = await fetch("/config.json", { cache: "no-store" });
    if (!response.ok) throw new Error();
    api = (await response.json()).api;
  } catch {
    throw new Error(`/config.json cannot be read. ${expected}`);
  }
  if (typeof api !== "string" || !isOrigin(api)) {
    throw new Error(`In /config.json, "api" is not an address. ${expected}`);
  }
  return api;
}

export function isOrigin(text: string): boolean {
  const url = URL.parse(text);
  return url !== null && /^https?:$/.test(url.protocol) && url.origin === text;
}
