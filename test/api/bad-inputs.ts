// Manifests of each kind that are right, and a table of ones that are wrong in one place: shared by the unit test (zod)
// and the integration test (the API server), so that the two are held to the same answers.
import { API_VERSION } from "../../src/api/kind.ts";
import { BAD_DRILLS, GOOD_DRILLS } from "./bad-drills.ts";
import { BAD_FENCING_LEVELS, GOOD_FENCING_LEVELS } from "./bad-fencing-levels.ts";

export type Fields = Readonly<Record<string, unknown>>;

export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly spec: Fields;
}

export function haVirtualMachineWith(spec: Fields): Manifest {
  return {
    apiVersion: API_VERSION,
    kind: "HAVirtualMachine",
    metadata: { name: "db", namespace: "default" },
    spec: { virtualMachineName: "db", ...spec },
  };
}

export function policyWith(spec: Fields): Manifest {
  return {
    apiVersion: API_VERSION,
    kind: "HAVirtualMachinePolicy",
    metadata: { name: "all" },
    spec: { selector: {}, ...spec },
  };
}

export function topologyWith(spec: Fields): Manifest {
  return {
    apiVersion: API_VERSION,
    kind: "FencingTopology",
    metadata: { name: "workers" },
    spec: { nodeSelector: {}, levels: [levelWith({})], ...spec },
  };
}

export function levelWith(level: Fields): Fields {
  return { name: "bmc", method: "Redfish", redfish: redfishWith({}), ...level };
}

export function redfishWith(redfish: Fields): Fields {
  return { address: "https://bmc-${node.name}:8443", credentialsSecretRef: { name: "bmc" }, ...redfish };
}

export function fencingWith(spec: Fields): Manifest {
  return {
    apiVersion: API_VERSION,
    kind: "NodeFencing",
    metadata: { name: "node-1-0" },
    spec: {
      nodeName: "node-1",
      nodeUID: "4b1f0c5e-6f0a-4d8b-9a57-0d6f4a1c7e21",
      bootID: "boot-1",
      reason: "NodeLost",
      detectedAt: "2026-11-22T10:30:00.000Z",
      lastSeenAt: "2026-11-22T10:29:40.123Z",
      ...spec,
    },
  };
}

export function disarmWith(spec: Fields): Manifest {
  return {
    apiVersion: API_VERSION,
    kind: "FencingDisarm",
    metadata: { name: "switch-work" },
    spec: { reason: "new switch firmware", until: "2026-11-22T14:00:00Z", ...spec },
  };
}

/** The manifest without one field of its spec. */
function without(manifest: Manifest, field: string): Manifest {
  const { [field]: _dropped, ...spec } = manifest.spec;
  return { ...manifest, spec };
}

export interface BadInput {
  /** What is wrong, as the end of the sentence "refuses …". */
  readonly what: string;
  readonly manifest: Manifest;
  /** The field as the API server names it. */
  readonly path: string;
  /** Words in which the API server says what would be allowed. */
  readonly allows: string;
}

const redfishLevels = (redfish: Fields) =>
  topologyWith({ levels: [levelWith({ redfish: redfishWith(redfish) })] });
const expression = (requirement: Fields) => policyWith({ selector: { matchExpressions: [requirement] } });
const many = <T>(amount: number, make: (index: number) => T): T[] =>
  Array.from({ length: amount }, (_, index) => make(index));

const DNS = "DNS-1123 subdomain";
const REFERENCES = "one of ${node.name}, ${node.labels['key']} and ${node.annotations['key']}";
const bmc = "spec.levels[0].redfish";

const OF_HA_VIRTUAL_MACHINE: readonly BadInput[] = [
  {
    what: "a missing VM name",
    manifest: without(haVirtualMachineWith({}), "virtualMachineName"),
    path: "spec.virtualMachineName",
    allows: "Required value",
  },
  {
    what: "an empty VM name",
    manifest: haVirtualMachineWith({ virtualMachineName: "" }),
    path: "spec.virtualMachineName",
    allows: DNS,
  },
  {
    what: "a VM name in capitals",
    manifest: haVirtualMachineWith({ virtualMachineName: "DB" }),
    path: "spec.virtualMachineName",
    allows: DNS,
  },
  {
    what: "a VM name of 64 characters",
    manifest: haVirtualMachineWith({ virtualMachineName: "a".repeat(64) }),
    path: "spec.virtualMachineName",
    allows: "may not be more than 63",
  },
  {
    what: "a number for a VM name",
    manifest: haVirtualMachineWith({ virtualMachineName: 7 }),
    path: "spec.virtualMachineName",
    allows: "must be of type string",
  },
  {
    what: "a priority above 1000",
    manifest: haVirtualMachineWith({ priority: 1_001 }),
    path: "spec.priority",
    allows: "less than or equal to 1000",
  },
  {
    what: "a negative priority",
    manifest: haVirtualMachineWith({ priority: -1 }),
    path: "spec.priority",
    allows: "greater than or equal to 0",
  },
  {
    what: "a priority that is no whole number",
    manifest: haVirtualMachineWith({ priority: 1.5 }),
    path: "spec.priority",
    allows: "must be of type integer",
  },
  {
    what: "waiting for itself",
    manifest: haVirtualMachineWith({ dependsOn: [{ name: "db" }] }),
    path: "spec.dependsOn",
    allows: "must name other HAVirtualMachines",
  },
  {
    what: "a dependency named twice",
    manifest: haVirtualMachineWith({ dependsOn: [{ name: "a" }, { name: "a", timeout: "1m" }] }),
    path: "spec.dependsOn[1]",
    allows: "Duplicate value",
  },
  {
    what: "a dependency without a name",
    manifest: haVirtualMachineWith({ dependsOn: [{ condition: "Ready" }] }),
    path: "spec.dependsOn[0].name",
    allows: "Required value",
  },
  {
    what: "a dependency with a name that no object can have",
    manifest: haVirtualMachineWith({ dependsOn: [{ name: "shop/db" }] }),
    path: "spec.dependsOn[0].name",
    allows: DNS,
  },
  {
    what: "17 dependencies",
    manifest: haVirtualMachineWith({ dependsOn: many(17, (index) => ({ name: `vm-${index}` })) }),
    path: "spec.dependsOn",
    allows: "must have at most 16 items",
  },
  {
    what: "an unknown condition to wait for",
    manifest: haVirtualMachineWith({ dependsOn: [{ name: "a", condition: "Up" }] }),
    path: "spec.dependsOn[0].condition",
    allows: '"Running", "Ready"',
  },
  {
    what: "a wait of no time",
    manifest: haVirtualMachineWith({ dependsOn: [{ name: "a", timeout: "0s" }] }),
    path: "spec.dependsOn[0].timeout",
    allows: "a duration from 1s to 24h",
  },
  {
    what: "an unknown evacuation strategy",
    manifest: haVirtualMachineWith({ evacuation: { strategy: "Live" } }),
    path: "spec.evacuation.strategy",
    allows: '"LiveMigrate", "LiveMigrateOrRestart", "None"',
  },
  {
    what: "an evacuation timeout that is too short",
    manifest: haVirtualMachineWith({ evacuation: { timeout: "29s" } }),
    path: "spec.evacuation.timeout",
    allows: "a duration from 30s to 24h",
  },
  {
    what: "a duration in days",
    manifest: haVirtualMachineWith({ evacuation: { timeout: "1d" } }),
    path: "spec.evacuation.timeout",
    allows: "units ms, s, m, h",
  },
  {
    what: "a duration with a fraction",
    manifest: haVirtualMachineWith({ evacuation: { timeout: "1.5h" } }),
    path: "spec.evacuation.timeout",
    allows: "units ms, s, m, h",
  },
  {
    what: "a duration longer than Go can count",
    manifest: haVirtualMachineWith({ evacuation: { timeout: "999999999999999h" } }),
    path: "spec.evacuation.timeout",
    allows: "a duration from 30s to 24h",
  },
  {
    what: "a bare number of seconds",
    manifest: haVirtualMachineWith({ evacuation: { timeout: 900 } }),
    path: "spec.evacuation.timeout",
    allows: "must be of type string",
  },
  {
    what: "a label key with a blank",
    manifest: haVirtualMachineWith({ evacuation: { targetSelector: { "my zone": "a" } } }),
    path: "spec.evacuation.targetSelector",
    allows: "every key must be a label key",
  },
  {
    what: "a label value with a blank",
    manifest: haVirtualMachineWith({ evacuation: { targetSelector: { zone: "a b" } } }),
    path: "spec.evacuation.targetSelector[zone]",
    allows: "must be a label value",
  },
  {
    what: "nine labels for a target",
    manifest: haVirtualMachineWith({
      evacuation: { targetSelector: Object.fromEntries(many(9, (index) => [`label-${index}`, "x"])) },
    }),
    path: "spec.evacuation.targetSelector",
    allows: "must have at most 8 items",
  },
  {
    what: "no restart at all, written as a number",
    manifest: haVirtualMachineWith({ failover: { maxRestarts: 0 } }),
    path: "spec.failover.maxRestarts",
    allows: "greater than or equal to 1",
  },
  {
    what: "101 restarts",
    manifest: haVirtualMachineWith({ failover: { maxRestarts: 101 } }),
    path: "spec.failover.maxRestarts",
    allows: "less than or equal to 100",
  },
  {
    what: "a restart window of eight days",
    manifest: haVirtualMachineWith({ failover: { restartWindow: "192h" } }),
    path: "spec.failover.restartWindow",
    allows: "a duration from 1m to 168h",
  },
  {
    what: "a switch that is a word",
    manifest: haVirtualMachineWith({ failover: { enabled: "yes" } }),
    path: "spec.failover.enabled",
    allows: "must be of type boolean",
  },
  {
    what: "an unknown failback policy",
    manifest: haVirtualMachineWith({ failback: { policy: "Always" } }),
    path: "spec.failback.policy",
    allows: '"Never", "Automatic"',
  },
  {
    what: "a failback delay of more than a day",
    manifest: haVirtualMachineWith({ failback: { delay: "25h" } }),
    path: "spec.failback.delay",
    allows: "a duration from 0s to 24h",
  },
];

const OF_POLICY: readonly BadInput[] = [
  {
    what: "a missing selector",
    manifest: without(policyWith({}), "selector"),
    path: "spec.selector",
    allows: "Required value",
  },
  {
    what: "operator In without values",
    manifest: expression({ key: "tier", operator: "In" }),
    path: "spec.selector.matchExpressions[0].values",
    allows: "at least one value with operator In or NotIn",
  },
  {
    what: "operator NotIn with an empty list",
    manifest: expression({ key: "tier", operator: "NotIn", values: [] }),
    path: "spec.selector.matchExpressions[0].values",
    allows: "at least one value with operator In or NotIn",
  },
  {
    what: "operator Exists with values",
    manifest: expression({ key: "tier", operator: "Exists", values: ["a"] }),
    path: "spec.selector.matchExpressions[0].values",
    allows: "none with Exists or DoesNotExist",
  },
  {
    what: "an operator of node affinity",
    manifest: expression({ key: "tier", operator: "Gt", values: ["1"] }),
    path: "spec.selector.matchExpressions[0].operator",
    allows: '"In", "NotIn", "Exists", "DoesNotExist"',
  },
  {
    what: "an expression without a key",
    manifest: expression({ operator: "Exists" }),
    path: "spec.selector.matchExpressions[0].key",
    allows: "Required value",
  },
  {
    what: "an expression with a bad key",
    manifest: expression({ key: "-tier", operator: "Exists" }),
    path: "spec.selector.matchExpressions[0].key",
    allows: "must be a label key",
  },
  {
    what: "a value that no label can have",
    manifest: expression({ key: "tier", operator: "In", values: ["ok", "a b"] }),
    path: "spec.selector.matchExpressions[0].values[1]",
    allows: "must be a label value",
  },
  {
    what: "a precedence above 1000",
    manifest: policyWith({ precedence: 1_001 }),
    path: "spec.precedence",
    allows: "less than or equal to 1000",
  },
  {
    what: "a bad field inside the template",
    manifest: policyWith({ template: { failover: { maxRestarts: 1_000 } } }),
    path: "spec.template.failover.maxRestarts",
    allows: "less than or equal to 100",
  },
];

const OF_TOPOLOGY: readonly BadInput[] = [
  {
    what: "a missing node selector",
    manifest: without(topologyWith({}), "nodeSelector"),
    path: "spec.nodeSelector",
    allows: "Required value",
  },
  {
    what: "no level",
    manifest: topologyWith({ levels: [] }),
    path: "spec.levels",
    allows: "should have at least 1 items",
  },
  {
    what: "nine levels",
    manifest: topologyWith({ levels: many(9, (index) => levelWith({ name: `level-${index}` })) }),
    path: "spec.levels",
    allows: "must have at most 8 items",
  },
  {
    what: "two levels of one name",
    manifest: topologyWith({ levels: [levelWith({}), levelWith({ retries: 1 })] }),
    path: "spec.levels[1]",
    allows: "Duplicate value",
  },
  {
    what: "a level name with a dot",
    manifest: topologyWith({ levels: [levelWith({ name: "bmc.main" })] }),
    path: "spec.levels[0].name",
    allows: "DNS-1123 label",
  },
  {
    what: "an unknown method",
    manifest: topologyWith({ levels: [levelWith({ method: "Hope" })] }),
    path: "spec.levels[0].method",
    allows: '"Redfish"',
  },
  {
    what: "method Redfish without its settings",
    manifest: topologyWith({ levels: [{ name: "bmc", method: "Redfish" }] }),
    path: bmc,
    allows: "must be set with method Redfish",
  },
  {
    what: "a timeout of a level that is too long",
    manifest: topologyWith({ levels: [levelWith({ timeout: "11m" })] }),
    path: "spec.levels[0].timeout",
    allows: "a duration from 5s to 10m",
  },
  {
    what: "eleven retries",
    manifest: topologyWith({ levels: [levelWith({ retries: 11 })] }),
    path: "spec.levels[0].retries",
    allows: "less than or equal to 10",
  },
  {
    what: "no pause between attempts",
    manifest: topologyWith({ levels: [levelWith({ backoff: "0s" })] }),
    path: "spec.levels[0].backoff",
    allows: "a duration from 1s to 5m",
  },
  {
    what: "an address without a scheme",
    manifest: redfishLevels({ address: "bmc-${node.name}.example.com" }),
    path: `${bmc}.address`,
    allows: "must start with https:// or http://",
  },
  {
    what: "an address with another scheme",
    manifest: redfishLevels({ address: "ftp://bmc.example.com" }),
    path: `${bmc}.address`,
    allows: "must start with https:// or http://",
  },
  {
    what: "a password in the address",
    manifest: redfishLevels({ address: "https://root:calvin@bmc.example.com" }),
    path: `${bmc}.address`,
    allows: "no user name",
  },
  {
    what: "a reference to what a node has not",
    manifest: redfishLevels({ address: "https://${node.ip}" }),
    path: `${bmc}.address`,
    allows: REFERENCES,
  },
  {
    what: "a reference that is not closed",
    manifest: redfishLevels({ address: "https://${node.name" }),
    path: `${bmc}.address`,
    allows: REFERENCES,
  },
  {
    what: "a reference to a label with a bad key",
    manifest: redfishLevels({ address: "https://${node.labels['bmc address']}" }),
    path: `${bmc}.address`,
    allows: REFERENCES,
  },
  {
    what: "a bad reference in the system's name",
    manifest: redfishLevels({ systemId: "${name}" }),
    path: `${bmc}.systemId`,
    allows: REFERENCES,
  },
  {
    what: "an address of 513 characters",
    manifest: redfishLevels({ address: `https://${"a".repeat(505)}` }),
    path: `${bmc}.address`,
    allows: "may not be more than 512",
  },
  {
    what: "an unknown way to log in",
    manifest: redfishLevels({ auth: "Digest" }),
    path: `${bmc}.auth`,
    allows: '"Auto", "Session", "Basic"',
  },
  {
    what: "missing credentials",
    manifest: topologyWith({ levels: [levelWith({ redfish: { address: "https://bmc" } })] }),
    path: `${bmc}.credentialsSecretRef`,
    allows: "Required value",
  },
  {
    what: "a Secret's namespace with a dot",
    manifest: redfishLevels({ credentialsSecretRef: { name: "bmc", namespace: "a.b" } }),
    path: `${bmc}.credentialsSecretRef.namespace`,
    allows: "DNS-1123 label",
  },
  {
    what: "both a certificate authority and no verification",
    manifest: redfishLevels({ tls: { caSecretRef: { name: "ca" }, insecureSkipVerify: true } }),
    path: `${bmc}.tls`,
    allows: "caSecretRef or insecureSkipVerify: true, not both",
  },
  {
    what: "a Secret key with a slash",
    manifest: redfishLevels({ tls: { caSecretRef: { name: "ca", key: "tls/ca.crt" } } }),
    path: `${bmc}.tls.caSecretRef.key`,
    allows: "must be a key of a Secret",
  },
  {
    what: "an unknown fate after fencing",
    manifest: topologyWith({ afterFencing: "Reboot" }),
    path: "spec.afterFencing",
    allows: '"PowerOn", "StayOff"',
  },
];

const templateRef = {
  apiVersion: "fence-agents-remediation.medik8s.io/v1alpha1",
  kind: "FenceAgentsRemediationTemplate",
  name: "reboot",
  namespace: "medik8s",
};
const external = (change: object): Manifest => topologyWith({ levels: [{ name: "other", ...change }] });

const OF_EXTERNAL_LEVELS: readonly BadInput[] = [
  {
    what: "method Remediation without a template",
    manifest: external({ method: "Remediation" }),
    path: "spec.levels[0].remediation",
    allows: "must be set with method Remediation",
  },
  {
    what: "a template of a kind that makes nothing",
    manifest: external({
      method: "Remediation",
      remediation: { templateRef: { ...templateRef, kind: "Pod" } },
    }),
    path: "spec.levels[0].remediation.templateRef.kind",
    allows: "must end with Template",
  },
  {
    what: "a template without a version",
    manifest: external({
      method: "Remediation",
      remediation: { templateRef: { ...templateRef, apiVersion: "v1" } },
    }),
    path: "spec.levels[0].remediation.templateRef.apiVersion",
    allows: "must be group/version",
  },
  {
    what: "a weak remediation that is not accepted by name",
    manifest: external({
      method: "Remediation",
      remediation: { templateRef: { ...templateRef, kind: "SelfNodeRemediationTemplate" } },
      acceptWeakProof: ["StorageBasedRemediation"],
    }),
    path: "spec.levels[0].acceptWeakProof",
    allows: "must name the kind of the remediation",
  },
  {
    what: "fenced storage that is not accepted by name",
    manifest: external({ method: "NetworkFence", networkFence: { networkFenceClassName: "ceph" } }),
    path: "spec.levels[0].acceptWeakProof",
    allows: "must name StorageFenced",
  },
  {
    what: "a weak proof accepted where the power state is read back",
    manifest: topologyWith({ levels: [levelWith({ acceptWeakProof: ["StorageFenced"] })] }),
    path: "spec.levels[0].acceptWeakProof",
    allows: "methods Remediation and NetworkFence only",
  },
];

const OF_FENCING: readonly BadInput[] = [
  {
    what: "a missing boot ID",
    manifest: without(fencingWith({}), "bootID"),
    path: "spec.bootID",
    allows: "Required value",
  },
  {
    what: "an empty boot ID",
    manifest: fencingWith({ bootID: "" }),
    path: "spec.bootID",
    allows: "at least 1 chars long",
  },
  {
    what: "a node name that no node can have",
    manifest: fencingWith({ nodeName: "Node_1" }),
    path: "spec.nodeName",
    allows: DNS,
  },
  {
    what: "an unknown reason",
    manifest: fencingWith({ reason: "Because" }),
    path: "spec.reason",
    allows: '"NodeLost", "Requested"',
  },
  {
    what: "a message of 1025 characters",
    manifest: fencingWith({ message: "x".repeat(1_025) }),
    path: "spec.message",
    allows: "may not be more than 1024",
  },
  {
    what: "a time in words",
    manifest: fencingWith({ detectedAt: "yesterday" }),
    path: "spec.detectedAt",
    allows: "date-time",
  },
  {
    what: "a day that is not in the calendar",
    manifest: fencingWith({ detectedAt: "2026-02-30T10:00:00.000Z" }),
    path: "spec.detectedAt",
    allows: "date-time",
  },
  {
    what: "a time that is not in UTC",
    manifest: fencingWith({ lastSeenAt: "2026-11-22T10:30:00.000+01:00" }),
    path: "spec.lastSeenAt",
    allows: "should match",
  },
];

const OF_DISARM: readonly BadInput[] = [
  {
    what: "a disarm without a reason",
    manifest: without(disarmWith({}), "reason"),
    path: "spec.reason",
    allows: "Required value",
  },
  {
    what: "a disarm with an empty reason",
    manifest: disarmWith({ reason: "" }),
    path: "spec.reason",
    allows: "at least 1",
  },
  {
    what: "a disarm with a reason of 1025 characters",
    manifest: disarmWith({ reason: "x".repeat(1_025) }),
    path: "spec.reason",
    allows: "1024",
  },
  {
    what: "a disarm without an end",
    manifest: without(disarmWith({}), "until"),
    path: "spec.until",
    allows: "Required value",
  },
  {
    what: "a disarm for a while, where a time is asked for",
    manifest: disarmWith({ until: "2h" }),
    path: "spec.until",
    allows: "should match",
  },
  {
    what: "a disarm until a day that is not in the calendar",
    manifest: disarmWith({ until: "2026-02-30T10:00:00Z" }),
    path: "spec.until",
    allows: "date-time",
  },
  {
    what: "a disarm by an empty name",
    manifest: disarmWith({ requestedBy: "" }),
    path: "spec.requestedBy",
    allows: "at least 1",
  },
  {
    what: "a disarm whose selector has an unknown operator",
    manifest: disarmWith({
      nodeSelector: { matchExpressions: [{ key: "rack", operator: "Is", values: ["a"] }] },
    }),
    path: "spec.nodeSelector.matchExpressions[0].operator",
    allows: '"In", "NotIn", "Exists", "DoesNotExist"',
  },
  {
    what: "a disarm whose selector has a label value with a space",
    manifest: disarmWith({ nodeSelector: { matchLabels: { rack: "a b" } } }),
    path: "spec.nodeSelector.matchLabels[rack]",
    allows: "must be a label value",
  },
];

/** Every wrong manifest, each wrong in one place. */
export const BAD_INPUTS: readonly BadInput[] = [
  {
    what: "an objective of 100 percent",
    manifest: haVirtualMachineWith({ availability: { objective: "100" } }),
    path: "spec.availability.objective",
    allows: "100 leaves no error budget",
  },
  {
    what: "an objective as a ratio",
    manifest: haVirtualMachineWith({ availability: { objective: "0.999" } }),
    path: "spec.availability.objective",
    allows: "must be a percentage in quotes",
  },
  {
    what: "an objective said twice",
    manifest: haVirtualMachineWith({ availability: { objective: "99.9", nines: 3 } }),
    path: "spec.availability.nines",
    allows: "either objective or nines",
  },
  {
    what: "eight nines",
    manifest: haVirtualMachineWith({ availability: { nines: 8 } }),
    path: "spec.availability.nines",
    allows: "less than or equal to 7",
  },
  {
    what: "a window of a year",
    manifest: haVirtualMachineWith({ availability: { windowDays: 365 } }),
    path: "spec.availability.windowDays",
    allows: "less than or equal to 92",
  },
  {
    what: "a time zone that nobody knows",
    manifest: haVirtualMachineWith({ availability: { timeZone: "Europe/Atlantis" } }),
    path: "spec.availability.timeZone",
    allows: "Europe/Atlantis",
  },
  {
    what: "a time zone that is an offset",
    manifest: haVirtualMachineWith({ availability: { timeZone: "+02:00" } }),
    path: "spec.availability.timeZone",
    allows: "must be the name of an IANA time zone",
  },
  {
    what: "service hours past midnight",
    manifest: haVirtualMachineWith({
      availability: { serviceHours: [{ days: ["Mon"], from: "22:00", to: "06:00" }] },
    }),
    path: "spec.availability.serviceHours[0].to",
    allows: "write two entries",
  },
  {
    what: "service hours on no day",
    manifest: haVirtualMachineWith({
      availability: { serviceHours: [{ days: [], from: "08:00", to: "20:00" }] },
    }),
    path: "spec.availability.serviceHours[0].days",
    allows: "at least 1",
  },
  {
    what: "a day in full",
    manifest: haVirtualMachineWith({
      availability: { serviceHours: [{ days: ["Monday"], from: "08:00", to: "20:00" }] },
    }),
    path: "spec.availability.serviceHours[0].days[0]",
    allows: "supported values",
  },
  {
    what: "an hour without minutes",
    manifest: haVirtualMachineWith({
      availability: { serviceHours: [{ days: ["Mon"], from: "8", to: "20:00" }] },
    }),
    path: "spec.availability.serviceHours[0].from",
    allows: "must be a time of day like 08:00",
  },
  {
    what: "a holiday that does not exist",
    manifest: haVirtualMachineWith({ availability: { holidays: ["2026-02-30"] } }),
    path: "spec.availability.holidays[0]",
    allows: "must be a date that exists",
  },
  {
    what: "a holiday as people write it",
    manifest: haVirtualMachineWith({ availability: { holidays: ["25.12.2026"] } }),
    path: "spec.availability.holidays[0]",
    allows: "must be a date like 2026-12-25",
  },
  {
    what: "a maintenance window without an end",
    manifest: haVirtualMachineWith({ availability: { maintenance: [{ start: "2026-12-01T22:00:00Z" }] } }),
    path: "spec.availability.maintenance[0]",
    allows: "start and end (once), or days, from and to",
  },
  {
    what: "a maintenance window that ends before it begins",
    manifest: haVirtualMachineWith({
      availability: { maintenance: [{ start: "2026-12-01T22:00:00Z", end: "2026-12-01T21:00:00Z" }] },
    }),
    path: "spec.availability.maintenance[0]",
    allows: "end after it begins",
  },
  {
    what: "a maintenance window that is both once and weekly",
    manifest: haVirtualMachineWith({
      availability: {
        maintenance: [{ start: "2026-12-01T22:00:00Z", end: "2026-12-02T22:00:00Z", days: ["Sun"] }],
      },
    }),
    path: "spec.availability.maintenance[0]",
    allows: "start and end (once), or days, from and to",
  },
  {
    what: "an unknown way to count in a policy's template",
    manifest: policyWith({ template: { availability: { plannedOutages: "Sometimes" } } }),
    path: "spec.template.availability.plannedOutages",
    allows: '"Excluded", "Counted"',
  },
  ...OF_HA_VIRTUAL_MACHINE,
  ...OF_POLICY,
  ...OF_TOPOLOGY,
  ...OF_EXTERNAL_LEVELS,
  ...OF_FENCING,
  ...OF_DISARM,
  ...BAD_DRILLS,
  ...BAD_FENCING_LEVELS,
];

/** Right manifests that go to the edges of what is allowed. */
export const GOOD_INPUTS: readonly { readonly what: string; readonly manifest: Manifest }[] = [
  { what: "an HAVirtualMachine with nothing but its VM", manifest: haVirtualMachineWith({}) },
  ...GOOD_FENCING_LEVELS,
  {
    what: "an SLA with everything declared",
    manifest: haVirtualMachineWith({
      availability: {
        objective: "99.95",
        window: "CalendarMonth",
        plannedOutages: "Counted",
        upWhen: "GuestAgentConnected",
        timeZone: "Europe/Bucharest",
        serviceHours: [{ days: ["Mon", "Tue", "Wed", "Thu", "Fri"], from: "08:00", to: "20:00" }],
        holidays: ["2026-12-25", "2028-02-29"],
        maintenance: [
          { reason: "firmware", start: "2026-12-01T22:00:00Z", end: "2026-12-02T02:00:00.500Z" },
          { days: ["Sun"], from: "02:00", to: "24:00" },
        ],
      },
    }),
  },
  { what: "an SLO in nines", manifest: haVirtualMachineWith({ availability: { nines: 4 } }) },
  {
    what: "an HAVirtualMachine with everything at its upper bound",
    manifest: haVirtualMachineWith({
      virtualMachineName: "a".repeat(63),
      priority: 1_000,
      dependsOn: many(16, (index) => ({ name: `vm-${index}`, condition: "Running", timeout: "24h" })),
      evacuation: {
        strategy: "None",
        timeout: "23h59m60s",
        targetSelector: { "topology.kubernetes.io/zone": "a", plain: "" },
      },
      failover: {
        enabled: false,
        restartOnce: true,
        startManual: false,
        maxRestarts: 100,
        restartWindow: "168h",
      },
      failback: { policy: "Automatic", delay: "0s", nodeSelector: { home: "yes" } },
    }),
  },
  { what: "a policy with nothing but an empty selector", manifest: policyWith({}) },
  {
    what: "a policy with every kind of requirement",
    manifest: policyWith({
      precedence: 1_000,
      namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "shop" } },
      selector: {
        matchExpressions: [
          { key: "tier", operator: "In", values: ["a", "b"] },
          { key: "tier", operator: "NotIn", values: [""] },
          { key: "a/b", operator: "Exists" },
          { key: "c", operator: "DoesNotExist", values: [] },
        ],
      },
      template: { priority: 0, evacuation: { timeout: "30s" } },
    }),
  },
  { what: "a topology of one level", manifest: topologyWith({}) },
  {
    what: "a topology with every setting",
    manifest: topologyWith({
      precedence: 7,
      afterFencing: "StayOff",
      levels: [
        levelWith({
          timeout: "10m",
          retries: 0,
          backoff: "1s",
          redfish: redfishWith({
            address: "http://${node.annotations['example.com/bmc']}/${node.labels['rack']}?$top=1$",
            systemId: "$${node.name}",
            auth: "Basic",
            credentialsSecretRef: { name: "bmc", namespace: "secrets" },
            tls: { caSecretRef: { name: "ca" } },
          }),
        }),
        levelWith({ name: "again", redfish: redfishWith({ tls: { insecureSkipVerify: true } }) }),
      ],
    }),
  },
  { what: "a disarm of all nodes", manifest: disarmWith({}) },
  {
    what: "a disarm with everything at its upper bound",
    manifest: disarmWith({
      reason: "🔥".repeat(1_024),
      requestedBy: "é".repeat(256),
      until: "9999-12-31T23:59:59.999Z",
      nodeSelector: {
        matchLabels: { rack: "a" },
        matchExpressions: [{ key: "edge", operator: "DoesNotExist" }],
      },
    }),
  },
  {
    what: "levels that leave the act to others, weak ones accepted by name",
    manifest: topologyWith({
      levels: [
        { name: "far", method: "Remediation", remediation: { templateRef } },
        {
          name: "snr",
          method: "Remediation",
          remediation: { templateRef: { ...templateRef, kind: "SelfNodeRemediationTemplate" } },
          acceptWeakProof: ["SelfNodeRemediation"],
        },
        {
          name: "ceph",
          method: "NetworkFence",
          networkFence: { networkFenceClassName: "ceph", cidrs: ["${node.annotations['example.com/ceph']}"] },
          acceptWeakProof: ["StorageFenced"],
        },
      ],
    }),
  },
  ...GOOD_DRILLS,
  { what: "a fencing", manifest: fencingWith({}) },
  {
    what: "a requested fencing with times in whole seconds and a message of 1024 characters beyond the BMP",
    manifest: fencingWith({
      reason: "Requested",
      topology: "workers",
      message: "🔥".repeat(1_024),
      detectedAt: "2028-02-29T23:59:59Z",
    }),
  },
];
