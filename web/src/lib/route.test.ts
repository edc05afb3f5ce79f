import { describe, expect, it } from "vitest";
import { link, parse } from "./route";

describe("addresses", () => {
  it.each([
    ["/", { page: "projects" }],
    ["/alerts", { page: "alerts" }],
    ["/me/digits", { page: "workspace", entity: "me", project: "digits" }],
    ["/me/digits/runs", { page: "runs", entity: "me", project: "digits" }],
    ["/me/digits/runs/a1", { page: "run", entity: "me", project: "digits", id: "a1" }],
    ["/me/digits/sweeps/s1/", { page: "sweep", entity: "me", project: "digits", id: "s1" }],
    ["/me/digits/alerts", { page: "alerts", entity: "me", project: "digits" }],
    ["/me", { page: "lost" }],
    ["/me/digits/models", { page: "lost" }],
    ["/me/%ZZ", { page: "lost" }],
  ])("%s", (path, route) => expect(parse(path)).toEqual(route));

  it("lead back from any name", () => {
    expect(parse(link("Ä b", "p/q", "runs", "<i>"))).toEqual({ page: "run", entity: "Ä b", project: "p/q", id: "<i>" });
  });
});
