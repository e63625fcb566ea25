// One level of a FencingTopology: a method with its settings, and how patiently it is tried.
import { z } from "zod";
import { duration } from "./duration.ts";
import { acceptWeakProof, networkFence, remediation, weakProofRules } from "./external-fence-settings.ts";
import { fenceAgent, redfish } from "./fence-device-settings.ts";
import { keyedList } from "./list.ts";
import { celString, type Rule, withRule } from "./rule.ts";
import { labelName } from "./scalar.ts";

const MAX_DEVICES = 4;

/** Methods that speak to one device with a power state, and the field that holds the settings of each. */
const DEVICE_SETTINGS = { Redfish: "redfish", FenceAgent: "fenceAgent" } as const;
const LEVEL_SETTINGS = {
  ...DEVICE_SETTINGS,
  AllOf: "devices",
  Remediation: "remediation",
  NetworkFence: "networkFence",
} as const;

const deviceFields = {
  redfish: redfish.meta({ description: "The settings for method Redfish." }).exactOptional(),
  fenceAgent: fenceAgent.meta({ description: "The settings for method FenceAgent." }).exactOptional(),
};

const DEVICE_WORDS =
  "Redfish: switches the node off through its BMC. FenceAgent: runs a program of the fence-agents project, which know about a hundred kinds of devices, IPMI and power distribution units among them.";

/** One rule for each method: its settings are there with it and with no other. */
function tied<S extends z.ZodType<{ readonly method: string }>>(
  schema: S,
  settings: Readonly<Record<string, string>>,
): S {
  return Object.entries(settings).reduce((checked, [method, field]) => {
    const rule: Rule<{ readonly method: string }> = {
      cel: `(self.method == ${celString(method)}) == has(self.${field})`,
      message: `must be set with method ${method}, and with no other`,
      holds: (value) => (value.method === method) === (Reflect.get(value, field) !== undefined),
      field: [field],
    };
    return withRule(checked, rule);
  }, schema);
}

const device = tied(
  z.object({
    name: labelName().meta({ description: "Name of the device, as attempts and messages give it." }),
    method: z.enum(["Redfish", "FenceAgent"]).meta({ description: `How it is asked. ${DEVICE_WORDS}` }),
    ...deviceFields,
  }),
  DEVICE_SETTINGS,
);

const level = tied(
  z.object({
    name: labelName().meta({ description: "Name of the level, as attempts and messages give it." }),
    method: z.enum(["Redfish", "FenceAgent", "AllOf", "Remediation", "NetworkFence"]).meta({
      description: `How the level fences. ${DEVICE_WORDS} AllOf: switches off every one of several devices, such as the two power supplies of one node. With these three the power state is read back. Remediation: has an operator of the medik8s family do it, from a remediation template. NetworkFence: has CSI-Addons cut the node off from its storage.`,
    }),
    timeout: duration({ min: "5s", max: "10m" }).default("60s").meta({
      description:
        "How long one attempt may take until the node is proven off or fenced. From 5s to 10m; SelfNodeRemediation alone waits 3m and more.",
    }),
    retries: z.int().min(0).max(10).default(2).meta({
      description: "How often a failed attempt is repeated before the next level is tried. From 0 to 10.",
    }),
    backoff: duration({ min: "1s", max: "5m" })
      .default("5s")
      .meta({ description: "The pause before an attempt is repeated. From 1s to 5m." }),
    ...deviceFields,
    devices: keyedList(device, { keys: ["name"], min: 2, max: MAX_DEVICES })
      .meta({
        description:
          "The devices for method AllOf, all of which must be read back as off at once before any of them counts. From 2 to 4.",
      })
      .exactOptional(),
    remediation: remediation.meta({ description: "The settings for method Remediation." }).exactOptional(),
    networkFence: networkFence.meta({ description: "The settings for method NetworkFence." }).exactOptional(),
    acceptWeakProof: acceptWeakProof.exactOptional(),
  }),
  LEVEL_SETTINGS,
);

export const fencingLevel = weakProofRules.reduce((checked, rule) => withRule(checked, rule), level);
