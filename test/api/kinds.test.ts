import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parseAllDocuments } from "yaml";
import type { z } from "zod";
import { KINDS } from "../../src/api/generate.ts";
import { haVirtualMachinePolicy } from "../../src/api/ha-virtual-machine-policy.ts";
import { haVirtualMachine } from "../../src/api/ha-virtual-machine.ts";
import { collectionPath } from "../../src/api/kind.ts";
import {
  BAD_INPUTS,
  fencingWith,
  GOOD_INPUTS,
  haVirtualMachineWith,
  type Manifest,
  policyWith,
  topologyWith,
} from "./bad-inputs.ts";

const SAMPLES = join(import.meta.dirname, "../../deploy/samples");

function kindOf(manifest: Pick<Manifest, "kind">) {
  const kind = KINDS.find((one) => one.kind === manifest.kind);
  if (kind === undefined) throw new Error(`no kind ${manifest.kind}`);
  return kind;
}

/** An issue's path as the API server writes paths: fields of maps in brackets. */
function pathOf(issue: z.core.$ZodIssue): string {
  return issue.path
    .map((step) => (typeof step === "number" ? `[${step}]` : `.${String(step)}`))
    .join("")
    .slice(1);
}

describe("bad manifests", () => {
  it("are at least 40, and of every kind", () => {
    expect(BAD_INPUTS.length).toBeGreaterThanOrEqual(40);
    expect(new Set(BAD_INPUTS.map((input) => input.manifest.kind)).size).toBe(KINDS.length);
  });

  it.each(BAD_INPUTS)("are refused by zod where the API server refuses them: $what", ({ manifest, path }) => {
    const parsed = kindOf(manifest).manifest.safeParse(manifest);
    expect(parsed.success).toBe(false);
    // An index that the API server names is a whole list to zod where the fault is between entries.
    const paths = (parsed.error?.issues ?? []).map(pathOf);
    const expected = path.replace(/\[([^\d\]]+)\]/, ".$1");
    expect(paths.some((found) => found === expected || found === expected.replace(/\[\d+\]$/, ""))).toBe(
      true,
    );
  });
});

describe("good manifests", () => {
  it.each(GOOD_INPUTS)("are taken: $what", ({ manifest }) => {
    expect(kindOf(manifest).manifest.safeParse(manifest).error?.issues).toBeUndefined();
  });

  it("have every default filled in, however deep", () => {
    expect(haVirtualMachine.manifest.parse(haVirtualMachineWith({})).spec).toEqual({
      virtualMachineName: "db",
      priority: 500,
      evacuation: { strategy: "LiveMigrate", timeout: "15m" },
      failover: { enabled: true, restartOnce: false, startManual: true, maxRestarts: 3, restartWindow: "1h" },
      failback: { policy: "Never", delay: "5m" },
    });
    expect(haVirtualMachinePolicy.manifest.parse(policyWith({})).spec).toMatchObject({
      precedence: 0,
      template: { priority: 500, evacuation: { timeout: "15m" } },
    });
    expect(kindOf(topologyWith({})).manifest.parse(topologyWith({}))).toMatchObject({
      spec: {
        precedence: 0,
        afterFencing: "PowerOn",
        levels: [{ timeout: "60s", retries: 2, backoff: "5s", redfish: { auth: "Auto" } }],
      },
    });
  });

  it("lose fields that nobody knows, as on the API server", () => {
    const spec = haVirtualMachine.manifest.parse(haVirtualMachineWith({ color: "red" })).spec;
    expect(spec).not.toHaveProperty("color");
  });

  it("include every sample, of which there is one per kind", () => {
    const manifests = readdirSync(SAMPLES).flatMap((name) =>
      parseAllDocuments(readFileSync(join(SAMPLES, name), "utf8")).map((one) => one.toJS() as Manifest),
    );
    for (const manifest of manifests) {
      expect(kindOf(manifest).manifest.safeParse(manifest).error?.issues).toBeUndefined();
    }
    expect(new Set(manifests.map((manifest) => manifest.kind))).toEqual(
      new Set(KINDS.map((kind) => kind.kind)),
    );
  });
});

describe("a stored object", () => {
  it("is read with what the API server adds, and without what we do not read", () => {
    const stored = haVirtualMachine.stored.parse({
      ...haVirtualMachineWith({}),
      metadata: {
        name: "db",
        namespace: "default",
        uid: "u",
        resourceVersion: "7",
        creationTimestamp: "2026-11-22T10:00:00Z",
        managedFields: [],
      },
      status: { node: "node-1" },
    });
    expect(stored.metadata).toEqual({
      name: "db",
      namespace: "default",
      uid: "u",
      resourceVersion: "7",
      creationTimestamp: "2026-11-22T10:00:00Z",
      generation: 0,
      labels: {},
      annotations: {},
    });
    expect(stored.status).toEqual({ node: "node-1" });
  });

  it("is refused without the UID and resourceVersion that every write depends on", () => {
    expect(haVirtualMachine.stored.safeParse(haVirtualMachineWith({})).success).toBe(false);
  });

  it("is refused under another kind or version", () => {
    expect(
      haVirtualMachine.manifest.safeParse({ ...fencingWith({}), spec: { virtualMachineName: "a" } }).success,
    ).toBe(false);
    const older = { ...haVirtualMachineWith({}), apiVersion: "holdfast.dev/v1alpha0" };
    expect(haVirtualMachine.manifest.safeParse(older).success).toBe(false);
  });
});

describe("the path of a collection", () => {
  it("holds the namespace where the kind has one", () => {
    expect(collectionPath(haVirtualMachine, "shop")).toBe(
      "/apis/holdfast.dev/v1alpha1/namespaces/shop/havirtualmachines",
    );
    expect(collectionPath(haVirtualMachine)).toBe("/apis/holdfast.dev/v1alpha1/havirtualmachines");
    expect(collectionPath(haVirtualMachinePolicy, "shop")).toBe(
      "/apis/holdfast.dev/v1alpha1/havirtualmachinepolicies",
    );
  });
});
