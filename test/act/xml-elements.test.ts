import { describe, expect, it } from "vitest";
import { readElements } from "../../src/act/fence/xml-elements.ts";

const names = (text: string) => {
  const reading = readElements(text);
  return reading.ok
    ? reading.elements.map(({ name, within }) => [...within, name].join("/"))
    : reading.message;
};

describe("reading XML", () => {
  it("finds elements, where they stand and what they carry", () => {
    const reading = readElements(
      `<?xml version="1.0"?><!DOCTYPE a><a x="1 &lt; 2 &#233; &#x1F525; &unknown;"><b y='"'/>text<c></c></a>`,
    );
    expect(reading).toEqual({
      ok: true,
      elements: [
        { name: "a", attributes: { x: "1 < 2 é 🔥 &unknown;" }, within: [] },
        { name: "b", attributes: { y: '"' }, within: ["a"] },
        { name: "c", attributes: {}, within: ["a"] },
      ],
    });
  });

  it("sees nothing in comments, instructions and character data", () => {
    expect(names("<a><!-- <b/> --><?x <c/> ?><![CDATA[ <d/> ]]></a>")).toEqual(["a"]);
  });

  it.each([
    ["nothing", "", "no element"],
    ["text alone", "Usage: x [y]", "no element"],
    ["a tag that is not closed", "<a><b></a>", "</a> closes what was not opened"],
    ["a document that ends too soon", "<a><b/>", "<a> is not closed"],
    ["two documents", "<a/><b/>", "more than one outermost element"],
    ["a less-than sign by itself", "<a>1 < 2</a>", "no tag at character 5"],
    ["an attribute without quotes", "<a x=1/>", "no tag at character 0"],
    ["an endless nest", "<a>".repeat(40), "larger than is read"],
    ["a huge document", `<a>${"<b/>".repeat(20_001)}</a>`, "larger than is read"],
  ])("is refused: %s", (_what, text, says) => {
    expect(names(text)).toBe(says);
  });

  it("takes no longer for text that almost is a tag", () => {
    const startedMs = performance.now();
    readElements(`<a ${'x="1" '.repeat(20_000)}`);
    readElements(`<a ${" ".repeat(200_000)}`);
    expect(performance.now() - startedMs).toBeLessThan(10_000);
  });
});
