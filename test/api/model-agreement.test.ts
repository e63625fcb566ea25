import { describe, expect, it } from "vitest";
import type { FailoverDrill } from "../../src/api/failover-drill.ts";
import type { FencingDisarm } from "../../src/api/fencing-disarm.ts";
import type { FencingTopology } from "../../src/api/fencing-topology.ts";
import type { HAVirtualMachinePolicy } from "../../src/api/ha-virtual-machine-policy.ts";
import type { HAVirtualMachine } from "../../src/api/ha-virtual-machine.ts";
import type { NodeFencing } from "../../src/api/node-fencing.ts";
import type { DisarmStatus } from "../../src/model/disarm.ts";
import type { DrillStatus } from "../../src/model/drill.ts";
import type { FencingStatus, FencingTopologyFact } from "../../src/model/fencing.ts";
import type { OptInPolicyFact, ProtectionStatus } from "../../src/model/protection.ts";

type Frozen<T> = T extends object ? { readonly [K in keyof T]: Frozen<T[K]> } : T;

/** `true` where every status that decide can write is one that the schema takes. */
type Takes<Schema, Model> = Model extends Frozen<Schema> ? true : false;
type StatusOf<Kind extends { status?: unknown }> = NonNullable<Kind["status"]>;

/** `true` where every status that the schema takes is one that decide can read, once its lists are there. */
type Gives<Schema, Model, Lists extends keyof Model> = Schema extends Omit<Model, Lists> ? true : false;

describe("the statuses that decide reads", () => {
  it("are all given by the schemas, which the compiler checks", () => {
    const gives: [
      Gives<StatusOf<HAVirtualMachine>, ProtectionStatus, "conditions" | "outages">,
      Gives<StatusOf<NodeFencing>, FencingStatus, "conditions" | "attempts" | "releasedVMs">,
      Gives<StatusOf<FencingDisarm>, DisarmStatus, "conditions" | "heldNodes">,
      Gives<StatusOf<FailoverDrill>, DrillStatus, "conditions" | "runs" | "statistics">,
      Gives<StatusOf<FencingTopology>, FencingTopologyFact["status"], "conditions">,
      Gives<StatusOf<HAVirtualMachinePolicy>, OptInPolicyFact["status"], "conditions">,
    ] = [true, true, true, true, true, true];
    expect(gives).not.toContain(false);
  });
});

describe("the statuses that decide writes", () => {
  it("are all taken by the schemas, which the compiler checks", () => {
    const takes: [
      Takes<StatusOf<HAVirtualMachine>, ProtectionStatus>,
      Takes<StatusOf<NodeFencing>, FencingStatus>,
      Takes<StatusOf<FencingDisarm>, DisarmStatus>,
      Takes<StatusOf<FailoverDrill>, DrillStatus>,
      Takes<StatusOf<FencingTopology>, FencingTopologyFact["status"]>,
      Takes<StatusOf<HAVirtualMachinePolicy>, OptInPolicyFact["status"]>,
    ] = [true, true, true, true, true, true];
    expect(takes).not.toContain(false);
  });
});
