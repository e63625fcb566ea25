import { describe, expect, it } from "vitest";
import { nodeFencing } from "../../src/api/node-fencing.ts";
import { fencingWith } from "./bad-inputs.ts";
import { BAD_PROOFS, GOOD_PROOFS } from "./proofs.ts";

const at = "2026-11-22T10:30:01.000Z";
const off = { type: "PowerOff", bootID: "boot-1", observedAt: at, detail: "read back as Off" };

function issuesOf(status: object): readonly string[] {
  const parsed = nodeFencing.manifest.safeParse({ ...fencingWith({}), status });
  return parsed.error?.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`) ?? [];
}

describe("the status of a NodeFencing", () => {
  it.each(["Fenced", "Releasing", "Released"])("is not %s without a proof", (phase) => {
    expect(issuesOf({ phase, epoch: 1 })).toEqual([
      expect.stringMatching(/^status\.phase: .*without a proof/),
    ]);
    expect(issuesOf({ phase, epoch: 1, proof: off })).toEqual([]);
  });

  it.each(["Pending", "Fencing", "Aborted", "Returned"])("may be %s without a proof", (phase) => {
    expect(issuesOf({ phase, epoch: 1 })).toEqual([]);
  });

  it("holds a proof of power-off for no incarnation but the one that was to be fenced", () => {
    expect(issuesOf({ phase: "Fenced", epoch: 1, proof: { ...off, bootID: "boot-2" } })).toEqual([
      expect.stringMatching(/^status\.proof\.bootID: must hold spec\.bootID with any type but Rebooted/),
    ]);
  });

  it("holds a proof of reboot for another incarnation only", () => {
    expect(issuesOf({ phase: "Returned", epoch: 1, proof: { ...off, type: "Rebooted" } })).toHaveLength(1);
    expect(
      issuesOf({ phase: "Returned", epoch: 1, proof: { ...off, type: "Rebooted", bootID: "boot-2" } }),
    ).toEqual([]);
  });

  it("is not Released on a proof of reboot, which releases nothing by force", () => {
    const rebooted = { ...off, type: "Rebooted", bootID: "boot-2" };
    expect(issuesOf({ phase: "Released", epoch: 1, proof: rebooted })).toEqual([
      expect.stringMatching(/^status\.phase: .*which Rebooted is not/),
    ]);
  });

  it.each(GOOD_PROOFS)("holds $what", ({ proof }) => {
    expect(issuesOf({ phase: "Fenced", epoch: 1, proof })).toEqual([]);
  });

  it.each(BAD_PROOFS)("does not hold $what", ({ proof, field }) => {
    expect(issuesOf({ phase: "Fencing", epoch: 1, proof })).toContainEqual(
      expect.stringMatching(new RegExp(`^status\\.proof\\.${field}: `)),
    );
  });

  it("numbers each attempt once", () => {
    const attempt = {
      number: 1,
      level: "bmc",
      method: "Redfish",
      epoch: 1,
      startedAt: at,
      outcome: "Started",
    };
    expect(issuesOf({ phase: "Fencing", epoch: 1, attempts: [attempt, { ...attempt, number: 2 }] })).toEqual(
      [],
    );
    expect(issuesOf({ phase: "Fencing", epoch: 1, attempts: [attempt, attempt] })).toHaveLength(1);
  });
});
