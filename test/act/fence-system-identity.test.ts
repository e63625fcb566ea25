import { describe, expect, it } from "vitest";
import { Redactor } from "../../src/act/fence/redaction.ts";
import { compareSystemUUID, contradiction } from "../../src/act/fence/system-identity.ts";

describe("a device's system UUID beside the node's", () => {
  const uuid = "4c4c4544-0042-3510-8052-b4c04f4d3232";
  it.each<[string, string | undefined, string | undefined, string]>([
    ["in the same form", uuid, uuid, "same"],
    ["in capital letters", uuid, uuid.toUpperCase(), "same"],
    ["without dashes", uuid, uuid.replaceAll("-", ""), "same"],
    ["with its first groups in the other byte order", uuid, "44454c4c-4200-1035-8052-b4c04f4d3232", "same"],
    ["with its last group in another order", uuid, "4c4c4544-0042-3510-8052-32324d4fc0b4", "different"],
    ["of another machine", uuid, "4c4c4544-0042-3510-8052-b4c04f4d3233", "different"],
    ["that the device does not tell", undefined, uuid, "unknown"],
    ["that nobody has set", "00000000-0000-0000-0000-000000000000", uuid, "unknown"],
    ["that is all ones", uuid, "ffffffff-ffff-ffff-ffff-ffffffffffff", "unknown"],
    ["that is none", uuid, "Not Settable", "unknown"],
  ])("%s", (_, one, other, expected) => {
    expect(compareSystemUUID(one, other)).toBe(expected);
    expect(compareSystemUUID(other, one)).toBe(expected);
  });
});

describe("two answers of one device", () => {
  it("contradict each other by UUID, serial number or place, and not by what one leaves out", () => {
    const path = "/redfish/v1/Systems/1";
    expect(contradiction({ path }, { path, uuid: "4c4c4544-0042-3510-8052-b4c04f4d3232" })).toBeUndefined();
    expect(contradiction({ path, serialNumber: "A" }, { path, serialNumber: "B" })).toContain(
      "serial number A",
    );
    expect(contradiction({ path }, { path: "/redfish/v1/Systems/2" })).toContain("/redfish/v1/Systems/2");
    expect(contradiction({ path, hostName: "old" }, { path, hostName: "new" })).toBeUndefined();
  });
});

describe("a message made fit to be shown", () => {
  const redactor = new Redactor();
  redactor.add('s3"cret');
  it.each([
    ['password s3"cret rejected', "password *** rejected"],
    [JSON.stringify({ Password: 's3"cret' }), '{"Password":"***"}'],
    [`https://bmc/?p=${encodeURIComponent('s3"cret')}`, "https://bmc/?p=***"],
    [`Basic ${Buffer.from('s3"cret').toString("base64")}`, "Basic ***"],
    ["two\r\nlines\tand \u001b[31mcolour", "two lines and [31mcolour"],
  ])("%j becomes %j", (text, expected) => {
    expect(redactor.clean(text)).toBe(expected);
  });

  it("is cut only after the secrets are gone, so that no half of one remains", () => {
    const text = `${"x".repeat(296)}s3"cret`;
    expect(redactor.clean(text)).toBe(`${"x".repeat(296)}***`);
    expect(redactor.clean("y".repeat(1_000))).toHaveLength(300);
  });
});
