import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  BAD_INPUTS,
  fencingWith,
  GOOD_INPUTS,
  haVirtualMachineWith,
  levelWith,
  type Manifest,
  policyWith,
  redfishWith,
  topologyWith,
} from "../api/bad-inputs.ts";
import { kindOf, useCrds } from "./crds-fixture.ts";

const cluster = useCrds();

describe("the API server", () => {
  it.each(BAD_INPUTS)(
    "refuses $what, naming the field and what it may be",
    async ({ manifest, path, allows }) => {
      const outcome = await cluster.tryCreate(manifest);
      expect(outcome).toMatchObject({ ok: false, kind: "invalid", status: 422 });
      if (outcome.ok) return;
      expect(outcome.message).toContain(`${path}: `);
      expect(outcome.message).toContain(allows);
    },
  );

  it.each(GOOD_INPUTS)("takes $what, and fills in the defaults that zod fills in", async ({ manifest }) => {
    const outcome = await cluster.tryCreate(manifest);
    expect(outcome).toMatchObject({ ok: true });
    if (!outcome.ok) return;
    expect(outcome.value.spec).toEqual((kindOf(manifest).manifest.parse(manifest) as Manifest).spec);
  });

  it("drops a field that it does not know, and says so to who asks for strictness", async () => {
    const manifest = haVirtualMachineWith({ failover: { retries: 3 } });
    const strict = await cluster.tryCreate(manifest);
    expect(strict).toMatchObject({ ok: false, kind: "invalid" });
    if (!strict.ok) expect(strict.message).toContain('unknown field "spec.failover.retries"');

    await cluster.create(haVirtualMachineWith({}));
    const patched = await cluster.patch(manifest, { spec: { failover: { retries: 3 } } });
    expect(patched).toMatchObject({ ok: true });
    if (patched.ok) expect(patched.value.spec["failover"]).not.toHaveProperty("retries");
    await cluster.remove(manifest);
  });
});

// What zod cannot see: it has only the new object before it.
describe("what only CEL can refuse, since it compares with what stood before", () => {
  it("is another VM for the same HAVirtualMachine", async () => {
    const manifest = haVirtualMachineWith({});
    await cluster.create(manifest);
    const outcome = await cluster.patch(manifest, { spec: { virtualMachineName: "other" } });
    expect(outcome).toMatchObject({
      ok: false,
      kind: "invalid",
      message: expect.stringMatching(
        /spec\.virtualMachineName: Invalid value: "other": is immutable/,
      ) as string,
    });
    expect(await cluster.patch(manifest, { spec: { priority: 1 } })).toMatchObject({ ok: true });
    await cluster.remove(manifest);
  });

  it.each([
    ["nodeName", "node-2"],
    ["nodeUID", "another"],
    ["bootID", "boot-2"],
    ["topology", "workers"],
    ["reason", "Requested"],
    ["message", "changed"],
    ["detectedAt", "2026-11-22T10:30:00.001Z"],
  ])("is another %s for the same NodeFencing", async (field, value) => {
    const manifest = fencingWith({});
    await cluster.create(manifest);
    const outcome = await cluster.patch(manifest, { spec: { [field]: value } });
    expect(outcome).toMatchObject({
      ok: false,
      kind: "invalid",
      message: expect.stringMatching(/spec: Invalid value: is immutable: a ledger is about one/) as string,
    });
    await cluster.remove(manifest);
  });
});

describe("zod and the API server give the same answer", () => {
  const agrees = async (manifest: Manifest) => {
    const byServer = (await cluster.tryCreate(manifest)).ok;
    const byZod = kindOf(manifest).manifest.safeParse(manifest).success;
    expect({ manifest, accepted: byZod }).toEqual({ manifest, accepted: byServer });
  };
  const runs = { seed: 20_261_122, numRuns: 150 };
  const joined = (pieces: readonly string[], maxLength: number) =>
    fc.array(fc.constantFrom(...pieces), { maxLength }).map((parts) => parts.join(""));

  it("to any duration", async () => {
    const durations = joined(["0", "1", "30", "5", "24", "ms", "s", "m", "h", "d", ".", "-", " "], 5);
    await fc.assert(
      fc.asyncProperty(durations, (timeout) => agrees(haVirtualMachineWith({ evacuation: { timeout } }))),
      runs,
    );
  });

  it("to any template", async () => {
    const pieces = [
      "https://",
      "$",
      "${",
      "}",
      "${node.name}",
      "${node.labels['a/b']}",
      "['x']",
      "a",
      "@",
      " ",
      "/",
    ];
    const systemIds = joined(pieces, 5);
    await fc.assert(
      fc.asyncProperty(systemIds, (systemId) =>
        agrees(
          topologyWith({
            levels: [levelWith({ redfish: redfishWith({ systemId, address: `https://h${systemId}` }) })],
          }),
        ),
      ),
      runs,
    );
  });

  it("to any label key and value", async () => {
    const words = joined(["a", "B", "7", "-", "_", ".", "/", "é", " ", "x".repeat(31)], 4);
    await fc.assert(
      fc.asyncProperty(words, words, (key, value) =>
        agrees(policyWith({ selector: { matchLabels: { [key]: value } } })),
      ),
      runs,
    );
  });

  it("to any text near its limit, counted in characters", async () => {
    const texts = fc
      .tuple(fc.constantFrom("a", "é", "한", "🔥"), fc.integer({ min: 1_022, max: 1_026 }))
      .map(([letter, amount]) => letter.repeat(amount));
    await fc.assert(
      fc.asyncProperty(texts, (message) => agrees(fencingWith({ message }))),
      { ...runs, numRuns: 20 },
    );
  });

  it.each([
    "2026-11-22T10:30:00.000Z",
    "2026-11-22T10:30:00Z",
    "2026-11-22T10:30:00.123456789Z",
    "2026-11-22T10:30Z",
    "2026-11-22T10:30:00.Z",
    "2026-11-22T10:30:00,5Z",
    "2026-11-22t10:30:00z",
    "2026-11-22 10:30:00Z",
    "2026-11-22T10:30:00",
    "2026-11-22T10:30:00+00:00",
    "2026-11-22T24:00:00Z",
    "2026-11-22T23:60:00Z",
    "2026-11-22T23:59:60Z",
    "2026-13-01T00:00:00Z",
    "2026-00-10T00:00:00Z",
    "2026-04-31T00:00:00Z",
    "2026-02-29T00:00:00Z",
    "2028-02-29T00:00:00Z",
    "2100-02-29T00:00:00Z",
    "0000-01-01T00:00:00Z",
    "9999-12-31T23:59:59.999Z",
    "12026-01-01T00:00:00Z",
    "2026-11-22",
    "1763807400",
    "",
  ])("to the time %j", (detectedAt) => agrees(fencingWith({ detectedAt })));
});
