import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { nodeTemplate, renderTemplate } from "../../src/api/node-template.ts";

const node = {
  name: "worker-3",
  labels: { rack: "r7", "example.com/slot": "12", empty: "", constructor: "x" },
  annotations: { "example.com/bmc": "10.0.0.7:8443", rack: "of annotations", sly: "${node.name}" },
};

describe("rendering a template", () => {
  it.each([
    ["https://bmc.example.com", "https://bmc.example.com"],
    ["", ""],
    ["https://${node.name}-bmc", "https://worker-3-bmc"],
    ["${node.name}${node.name}", "worker-3worker-3"],
    ["https://bmc-${node.labels['rack']}-${node.labels['example.com/slot']}", "https://bmc-r7-12"],
    ["https://${node.annotations['example.com/bmc']}/x", "https://10.0.0.7:8443/x"],
    ["${node.annotations['rack']}", "of annotations"],
    ["${node.labels['constructor']}", "x"],
    ["a$b$$c$", "a$b$$c$"],
    ["$${node.name}$", "$worker-3$"],
  ])("%j becomes %j", (template, value) => {
    expect(renderTemplate(template, node)).toEqual({ ok: true, value });
  });

  it("names every reference that the node does not answer, once each", () => {
    const template = "${node.labels['a']}${node.name}${node.annotations['b']}${node.labels['a']}";
    expect(renderTemplate(template, node)).toEqual({
      ok: false,
      missing: ["${node.labels['a']}", "${node.annotations['b']}"],
    });
  });

  it("takes an empty value for a missing one, since no address is empty", () => {
    expect(renderTemplate("https://${node.labels['empty']}", node)).toEqual({
      ok: false,
      missing: ["${node.labels['empty']}"],
    });
  });

  it("does not find what objects inherit", () => {
    expect(renderTemplate("${node.labels['toString']}", node).ok).toBe(false);
  });

  it("does not look for references in values", () => {
    expect(renderTemplate("${node.annotations['sly']}", node)).toEqual({ ok: true, value: "${node.name}" });
  });
});

describe("checking a template", () => {
  const template = nodeTemplate(512);

  it.each([
    "${",
    "${}",
    "${node}",
    "${node.name",
    "${ node.name }",
    "${node.Name}",
    "${node.uid}",
    "${node.labels[rack]}",
    '${node.labels["rack"]}',
    "${node.labels['']}",
    "${node.labels['a b']}",
    "${node.labels['-a']}",
    "${node.labels['a/']}",
    "${node.labels['a/b/c']}",
    "${node.annotations['x']",
    "$${bad}",
    "ok ${node.name} ${bad}",
  ])("refuses %j", (text) => {
    expect(template.safeParse(text).success).toBe(false);
  });

  it("leaves nothing unrendered in what it accepts", () => {
    const piece = fc.constantFrom(
      "$",
      "{",
      "}",
      "a",
      "é",
      "${",
      "${node.name}",
      "${node.labels['rack']}",
      "${node.labels['x']}",
      "']}",
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 8 }), (pieces) => {
        const text = pieces.join("");
        if (!template.safeParse(text).success) return;
        const rendering = renderTemplate(text, { ...node, labels: { rack: "r", x: "y" } });
        expect(rendering.ok).toBe(true);
        if (rendering.ok) expect(rendering.value).not.toContain("${node");
      }),
      { numRuns: 2_000 },
    );
  });
});
