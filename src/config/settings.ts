// Every setting of the operator, once: the flags, the environment variables, `--help` and docs/configuration.md come from here.
import {
  addressSetting,
  booleanSetting,
  choiceSetting,
  countSetting,
  durationSetting,
  nodeLimitSetting,
  type Setting,
  textSetting,
} from "./setting.ts";

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

/** Groups in the order in which they are shown, each with what it is about. */
export const GROUPS = {
  Connection: "How Holdfast reaches the API server, and as whom.",
  "Leader election":
    "One replica acts, the others stand by. A crashed leader is replaced after at most the lease duration plus half a retry period; one that is stopped, at once.",
  Detection: "When a node counts as lost. Ages are measured by Holdfast's own monotonic clock.",
  Fencing: "How many nodes may be fenced, and when to hold because too much looks lost at once.",
  Pacing: "How fast VMs are restarted and migrated, so that the important ones come first.",
  Safety: "What Holdfast may do at all.",
  Serving: "Probes and metrics.",
  Logging: "JSON lines on standard output. Passwords, tokens and secrets are masked.",
} as const;

const connection = {
  kubeconfig: textSetting<undefined>(
    { pattern: /\S/, allowed: "the path of a kubeconfig file", placeholder: "PATH" },
    {
      group: "Connection",
      help: "Kubeconfig file whose current context is used.",
      default: {
        value: undefined,
        words: "the files in `KUBECONFIG`, else the pod's service account, else `~/.kube/config`",
      },
      example: "/etc/holdfast/kubeconfig",
    },
  ),
  namespace: textSetting<undefined>(
    {
      pattern: /^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/,
      allowed: "a namespace name: at most 63 lower-case letters, digits and dashes",
      placeholder: "NAME",
    },
    {
      group: "Connection",
      help: "Holdfast's own namespace: its Lease and the Secrets of fence devices are there.",
      default: { value: undefined, words: "the pod's namespace, else `holdfast-system`" },
      example: "holdfast-system",
    },
  ),
  identity: textSetting<undefined>(
    {
      pattern: /^[!-~]{1,200}$/,
      allowed: "1 to 200 printable ASCII characters without spaces",
      placeholder: "NAME",
    },
    {
      group: "Connection",
      help: "Name of this replica in the Lease and in logs. A random suffix is always added, since two lives of one replica must differ.",
      default: { value: undefined, words: "the host name, which is the pod's name" },
      example: "holdfast-0",
    },
  ),
};

const leaderElection = {
  "leader-elect-lease-name": textSetting(
    {
      pattern: /^[a-z0-9](?:[-.a-z0-9]{0,251}[a-z0-9])?$/,
      allowed: "the name of a Lease: at most 253 lower-case letters, digits, dashes and dots",
      placeholder: "NAME",
    },
    {
      group: "Leader election",
      help: "Name of the Lease. All replicas of one installation share it.",
      default: { text: "holdfast" },
    },
  ),
  "leader-elect-lease-duration": durationSetting(
    { minMs: SECOND, maxMs: 5 * MINUTE },
    {
      group: "Leader election",
      help: "How long a stand-by must see the Lease unchanged before it takes over. Must be longer than the renew deadline: the difference keeps two leaders apart.",
      default: "10s",
    },
  ),
  "leader-elect-renew-deadline": durationSetting(
    { minMs: 500, maxMs: 5 * MINUTE },
    {
      group: "Leader election",
      help: "How long the leader goes on without a successful renewal. Must be longer than 1.2 retry periods.",
      default: "7s",
    },
  ),
  "leader-elect-retry-period": durationSetting(
    { minMs: 100, maxMs: MINUTE },
    {
      group: "Leader election",
      help: "How often the leader renews, and how long it waits for an answer before it dials anew: this is also the probe of the connection.",
      default: "2s",
    },
  ),
};

const detection = {
  "node-suspect-after": durationSetting(
    { minMs: SECOND, maxMs: HOUR },
    {
      group: "Detection",
      help: "How long a node's Lease may be silent before the node is suspect and looked at more closely. Kubelets renew every 10s, so it should be longer than that.",
      default: "12s",
    },
  ),
  "node-lost-after": durationSetting(
    { minMs: SECOND, maxMs: HOUR },
    {
      group: "Detection",
      help: "How long a node's Lease must have been silent, as witnessed by Holdfast, before the node can be judged lost. The default is two missed renewals of the kubelet and some slack. Shorter recovers sooner and fences more nodes that only stumbled.",
      default: "22s",
    },
  ),
  "heartbeat-trust": durationSetting(
    { minMs: 0, maxMs: HOUR },
    {
      group: "Detection",
      help: "How long a heartbeat of virt-handler that came after the Lease fell silent counts as a sign of life, which makes the node isolated and not lost. virt-handler sends one every 60s to 132s.",
      default: "2m20s",
    },
  ),
};

const probing = {
  "probe-method": choiceSetting(["https", "tcp", "off"], {
    group: "Detection",
    help: "How nodes are probed directly, beside the API server. An answer of a node whose Lease is silent makes it isolated and not lost; silence counts only on a network that has answered before. https goes through a handshake, which keeps kubelets from logging errors. Off unless asked for: behind a proxy that answers for every address, as some meshes and firewalls do, dead nodes would look isolated and would not be fenced. Try it first: an address where nothing is must not answer.",
    default: "off",
  }),
  "probe-at": countSetting(
    { min: 1, max: 65_535 },
    {
      group: "Detection",
      help: "The port that is probed; the default is the kubelet's.",
      default: { text: "10250" },
    },
  ),
  "probe-addresses": textSetting(
    {
      pattern: /^(?:InternalIP|annotation:[^\s,]{1,317})(?:,(?:InternalIP|annotation:[^\s,]{1,317})){0,7}$/,
      allowed: "up to 8 of InternalIP and annotation:KEY, separated by commas",
      placeholder: "SOURCES",
    },
    {
      group: "Detection",
      help: "Where the addresses of a node's networks come from: its InternalIP, or an annotation of the Node that holds an IP address. Each is probed by itself.",
      default: { text: "InternalIP" },
      example: "InternalIP,annotation:example.com/storage-ip",
    },
  ),
  "probe-period": durationSetting(
    { minMs: 5 * SECOND, maxMs: HOUR },
    {
      group: "Detection",
      help: "How often a node is probed while it is healthy; a node that is not, is probed every 2s.",
      default: "1m",
    },
  ),
  "on-isolated": choiceSetting(["hold", "fence"], {
    group: "Fencing",
    help: "What is done about a node whose kubelet is silent while virt-handler is heard or its host answers a probe. hold: nothing, since its guests may be running. fence: it is powered off, with whatever still runs there, and its VMs are restarted elsewhere.",
    default: "hold",
  }),
  "isolated-grace": durationSetting(
    { minMs: SECOND, maxMs: HOUR },
    {
      group: "Fencing",
      help: "With on-isolated=fence: how long the Lease of an isolated node must have been silent before it is fenced.",
      default: "5m",
    },
  ),
  "late-power-off-grace": durationSetting(
    { minMs: SECOND, maxMs: 10 * MINUTE },
    {
      group: "Fencing",
      help: "How long at most a fenced node stays off where a request to cut its power had no known end: acting late it would hit the node again.",
      default: "2m",
    },
  ),
};

const fencing = {
  "max-concurrent-fencings": countSetting(
    { min: 1, max: 100 },
    {
      group: "Fencing",
      help: "How many nodes are fenced at the same time at most.",
      default: { text: "3" },
    },
  ),
  "max-fencings-per-hour": countSetting(
    { min: 1, max: 10_000 },
    {
      group: "Fencing",
      help: "How many nodes are powered off within an hour at most. Nodes that fail one after the other make no storm; this holds what might be a fault that wanders. Power states are read on, and what is off already is recovered.",
      default: { text: "20" },
    },
  ),
  "failure-domain-label": textSetting(
    {
      pattern:
        /^(?:[a-z0-9](?:[-.a-z0-9]{0,251}[a-z0-9])?\/)?[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/,
      allowed: "a label key",
      placeholder: "KEY",
    },
    {
      group: "Fencing",
      help: "Label whose value nodes of one rack, room or zone share. A storm that is confined to one of them is told as such.",
      default: { text: "topology.kubernetes.io/zone" },
      example: "example.com/rack",
    },
  ),
  "quarantine-after-returns": countSetting(
    { min: 0, max: 100 },
    {
      group: "Fencing",
      help: "A node that was fenced and has returned so many times within the window is quarantined: it gets no new VMs for a while. 0: never.",
      default: { text: "3" },
    },
  ),
  "quarantine-window": durationSetting(
    { minMs: MINUTE, maxMs: 168 * HOUR },
    { group: "Fencing", help: "The time within which returns are counted.", default: "1h" },
  ),
  "quarantine-for": durationSetting(
    { minMs: MINUTE, maxMs: 168 * HOUR },
    {
      group: "Fencing",
      help: "How long a quarantine lasts. It is lifted sooner by removing the node's taint holdfast.dev/quarantine.",
      default: "2h",
    },
  ),
  "storm-max-lost-nodes": nodeLimitSetting({
    group: "Fencing",
    help: "When more nodes than this are lost at once, none is powered off until fewer are: the network or Holdfast itself is then more likely to be at fault. A share is rounded down and never less than 1.",
    default: "20%",
    example: "3",
  }),
  "fencing-check-interval": durationSetting(
    { minMs: 0, maxMs: 24 * HOUR },
    {
      group: "Fencing",
      help: "How often each covered node's fence devices are checked without doing harm: log in, read the power state, compare the machine; every 60s at least while a node is not ready. At once for a new topology, a new node, or a changed Secret in Holdfast's own namespace. 0s: never.",
      default: "5m",
    },
  ),
  "fencing-check-concurrency": countSetting(
    { min: 1, max: 100 },
    {
      group: "Fencing",
      help: "How many nodes' fence devices are checked at the same time at most.",
      default: { text: "8" },
    },
  ),
};

const pacing = {
  "max-restarts-in-flight": countSetting(
    { min: 1, max: 10_000 },
    {
      group: "Pacing",
      help: "How many VMs may be released from a fenced node and not yet be placed elsewhere. Fewer bring the important ones back sooner, more bring the last one back sooner.",
      default: { text: "12" },
    },
  ),
  "restart-slot": durationSetting(
    { minMs: SECOND, maxMs: HOUR },
    {
      group: "Pacing",
      help: "After this long a released VM that is not yet placed no longer holds up the next.",
      default: "5s",
    },
  ),
  "max-concurrent-migrations": countSetting<undefined>(
    { min: 1, max: 1_000 },
    {
      group: "Pacing",
      help: "How many live migrations Holdfast has under way at the same time at most.",
      default: { value: undefined, words: "KubeVirt's own limits" },
      example: "5",
    },
  ),
  "migration-backoff": durationSetting(
    { minMs: SECOND, maxMs: 10 * MINUTE },
    {
      group: "Pacing",
      help: "Pause after a failed migration of a VM; doubled with each further failure, up to 10m.",
      default: "5s",
    },
  ),
  "migration-unschedulable-timeout": durationSetting(
    { minMs: SECOND, maxMs: HOUR },
    {
      group: "Pacing",
      help: "How long the target of a migration may find no node before the attempt is given up; counted in whole seconds.",
      default: "1m",
    },
  ),
  "migration-ack-grace": durationSetting(
    { minMs: 0, maxMs: 10 * MINUTE },
    {
      group: "Pacing",
      help: "When a node is lost in the middle of a migration that had already switched over: how long to wait for the target to say so before the VM is restarted.",
      default: "10s",
    },
  ),
};

const safety = {
  "dry-run": booleanSetting({
    group: "Safety",
    help: "Decide and report, never act: nothing is fenced, tainted, deleted or migrated.",
    default: "false",
  }),
};

const serving = {
  "listen-address": addressSetting({
    group: "Serving",
    help: "Where /healthz, /readyz and /metrics are served.",
    default: ":8080",
    example: "127.0.0.1:8080",
  }),
};

const recording = {
  "decision-records": countSetting(
    { min: 0, max: 1_000 },
    {
      group: "Serving",
      help: "How many of the last decisions that did or refused something are kept in memory, each with the facts it rested on, and served at /decisions for `kubectl holdfast simulate --replay`. They hold names and labels of nodes and VMs, as /metrics does, and no settings of fence devices. 0 keeps none.",
      default: { text: "20" },
    },
  ),
};

const logging = {
  "log-level": choiceSetting(["trace", "debug", "info", "warn", "error", "fatal"], {
    group: "Logging",
    help: "The least level that is written.",
    default: "info",
  }),
  "log-format": choiceSetting(["json", "text"], {
    group: "Logging",
    help: "json for machines, text for people at a terminal.",
    default: "json",
  }),
};

export const SETTINGS = {
  ...connection,
  ...leaderElection,
  ...detection,
  ...probing,
  ...fencing,
  ...pacing,
  ...safety,
  ...serving,
  ...recording,
  ...logging,
};

export type SettingName = keyof typeof SETTINGS;

/** The value of every setting, as read. */
export type SettingValues = {
  readonly [N in SettingName]: (typeof SETTINGS)[N] extends Setting<infer T> ? T : never;
};

const ENVIRONMENT_PREFIX = "HOLDFAST_";

/** `node-lost-after` is `HOLDFAST_NODE_LOST_AFTER`. */
export function environmentName(name: string): string {
  return ENVIRONMENT_PREFIX + name.toUpperCase().replaceAll("-", "_");
}
