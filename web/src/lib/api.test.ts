import { describe, expect, it, vi } from "vitest";
import { address, ApiError, ask, path } from "./api";

function answers(...list: Response[]): typeof fetch {
  const queue = [...list];
  return vi.fn(async () => queue.shift() as Response) as unknown as typeof fetch;
}

const json = (body: unknown, init: ResponseInit = {}) => new Response(JSON.stringify(body), init);

describe("addresses", () => {
  it("leave out what is empty and join lists", () => {
    expect(address("/api/runs", { filter: "", by: [], keys: ["a", "b"], limit: 5, min: null })).toBe("/api/runs?keys=a%2Cb&limit=5");
  });
  it("carry any name", () => expect(path("runs", "me", "a/b c", "<x>")).toBe("/api/runs/me/a%2Fb%20c/%3Cx%3E"));
});

it("waits as long as a busy server says, then asks again", async () => {
  const waited: number[] = [];
  const get = answers(json({ message: "starting" }, { status: 503, headers: { "retry-after": "2" } }), json({ runs: 1 }));
  const got = await ask("/api/x", { fetch: get, wait: async (ms) => void waited.push(ms) });
  expect(got).toEqual({ runs: 1 });
  expect(waited).toEqual([2000]);
});

it("gives up on a server that stays busy, with its words", async () => {
  const busy = () => json({ message: "the store is locked" }, { status: 503 });
  const get = answers(busy(), busy(), busy(), busy());
  await expect(ask("/api/x", { fetch: get, wait: async () => undefined })).rejects.toThrow("the store is locked");
});

it("points at the place in a filter that is wrong", async () => {
  const get = answers(json({ error: "UsageError", message: "no key lrr, did you mean lr", position: 4 }, { status: 400, headers: { "x-request-id": "r7" } }));
  const error = await ask("/api/x", { fetch: get }).catch((e: unknown) => e as ApiError);
  expect(error).toMatchObject({ status: 400, position: 4, request: "r7", message: "no key lrr, did you mean lr" });
});

it("says it plainly when nobody answers, or answers no JSON", async () => {
  const dead = (async () => Promise.reject(new TypeError("failed"))) as unknown as typeof fetch;
  await expect(ask("/api/x", { fetch: dead })).rejects.toThrow("The server does not answer");
  await expect(ask("/api/x", { fetch: answers(new Response("<html>", { status: 500 })) })).rejects.toThrow("answered 500");
});

it("sends a body as JSON", async () => {
  const get = answers(json({}));
  await ask("/api/x", { fetch: get, method: "PATCH", body: { state: "paused" } });
  expect(get).toHaveBeenCalledWith("/api/x", expect.objectContaining({ method: "PATCH", body: '{"state":"paused"}' }));
});
