// Fencing levels that are wrong in one place, and some that are right: part of the table in bad-inputs.ts.
import { API_VERSION } from "../../src/api/kind.ts";

type Fields = Readonly<Record<string, unknown>>;

const topology = (level: Fields) => ({
  apiVersion: API_VERSION,
  kind: "FencingTopology",
  metadata: { name: "workers" },
  spec: { nodeSelector: {}, levels: [level] },
});

const agent = (fenceAgent: Fields = {}, level: Fields = {}): Fields => ({
  name: "pdu",
  method: "FenceAgent",
  fenceAgent: { agent: "fence_apc_snmp", parameters: { ip: "10.0.0.9" }, ...fenceAgent },
  ...level,
});

const redfish: Fields = {
  name: "bmc",
  method: "Redfish",
  redfish: { address: "https://bmc-${node.name}", credentialsSecretRef: { name: "bmc" } },
};

const allOf = (devices: readonly Fields[]): Fields => ({ name: "psus", method: "AllOf", devices });

const LEVEL = "spec.levels[0]";
const AGENT = `${LEVEL}.fenceAgent`;

export const BAD_FENCING_LEVELS = [
  {
    what: "method FenceAgent without its settings",
    manifest: topology({ name: "pdu", method: "FenceAgent" }),
    path: AGENT,
    allows: "must be set with method FenceAgent",
  },
  {
    what: "method Redfish with an agent's settings beside its own",
    manifest: topology({ ...agent(), ...redfish }),
    path: AGENT,
    allows: "must be set with method FenceAgent, and with no other",
  },
  {
    what: "an agent with a path",
    manifest: topology(agent({ agent: "../fence_x" })),
    path: `${AGENT}.agent`,
    allows: "without a path",
  },
  {
    what: "an agent that is no fence agent",
    manifest: topology(agent({ agent: "rm" })),
    path: `${AGENT}.agent`,
    allows: "like fence_ipmilan",
  },
  {
    what: "an action among an agent's parameters",
    manifest: topology(agent({ parameters: { action: "on" } })),
    path: `${AGENT}.parameters`,
    allows: "must not hold action",
  },
  {
    what: "a program among an agent's parameters",
    manifest: topology(agent({ parameters: { password_script: "/bin/sh" } })),
    path: `${AGENT}.parameters`,
    allows: "…_script",
  },
  {
    what: "a parameter that calls a missing plug off",
    manifest: topology(agent({ parameters: { missing_as_off: "1" } })),
    path: `${AGENT}.parameters`,
    allows: "missing_as_off",
  },
  {
    what: "a parameter that is no name",
    manifest: topology(agent({ parameters: { "a b": "1" } })),
    path: `${AGENT}.parameters`,
    allows: "every key must be a parameter",
  },
  {
    what: "an unknown reference in an agent's parameter",
    manifest: topology(agent({ parameters: { plug: "${node.uid}" } })),
    path: `${AGENT}.parameters[plug]`,
    allows: "one of ${node.name}",
  },
  {
    what: "method AllOf of one device",
    manifest: topology(allOf([redfish])),
    path: `${LEVEL}.devices`,
    allows: "at least 2",
  },
  {
    what: "method AllOf without devices",
    manifest: topology({ name: "psus", method: "AllOf" }),
    path: `${LEVEL}.devices`,
    allows: "must be set with method AllOf",
  },
  {
    what: "two devices of one name",
    manifest: topology(allOf([redfish, redfish])),
    path: `${LEVEL}.devices[1]`,
    allows: "Duplicate value",
  },
  {
    what: "AllOf within AllOf",
    manifest: topology(allOf([redfish, { name: "more", method: "AllOf" }])),
    path: `${LEVEL}.devices[1].method`,
    allows: '"FenceAgent"',
  },
];

export const GOOD_FENCING_LEVELS = [
  {
    what: "a level of a fence agent with every setting",
    manifest: topology(
      agent({
        parameters: {
          ip: "10.0.0.9",
          plug: "${node.annotations['example.com/outlet']}",
          snmp_version: "1",
          "tls1.2": "1",
        },
        parametersSecretRef: { name: "pdu", namespace: "secrets" },
        tls: { caSecretRef: { name: "pdu-ca" } },
      }),
    ),
  },
  {
    what: "a level of a fence agent without parameters",
    manifest: topology(agent({ parameters: undefined })),
  },
  {
    what: "a level of two power supplies, switched in two ways",
    manifest: topology(allOf([redfish, agent(), agent({}, { name: "pdu-b" })])),
  },
];
