// FencingTopology: how the nodes it covers are fenced, level by level, and with which credentials.
import { z } from "zod";
import { conditions } from "./conditions.ts";
import { duration } from "./duration.ts";
import { defineKind } from "./kind.ts";
import { labelSelector } from "./label-selector.ts";
import { keyedList } from "./list.ts";
import { nodeTemplate } from "./node-template.ts";
import { celString, withRule } from "./rule.ts";
import { count, labelName, matching, objectName } from "./scalar.ts";

const MAX_LEVELS = 8;
const MAX_ADDRESS_LENGTH = 512;
const MAX_SYSTEM_ID_LENGTH = 256;
const MAX_SECRET_KEY_LENGTH = 253;

/** Scheme, host and maybe a path; no blanks, and no user name or password, which belong into the Secret. */
const ADDRESS = /^https?:\/\/[^/@ \t\r\n]+(\/[^ \t\r\n]*)?$/;

const secretNamespace = labelName()
  .meta({ description: "Namespace of the Secret. Left out: the namespace that the operator runs in." })
  .exactOptional();

const credentialsSecretRef = z.object({
  name: objectName().meta({ description: "Name of the Secret; its keys username and password are used." }),
  namespace: secretNamespace,
});

const caSecretRef = z.object({
  name: objectName().meta({ description: "Name of the Secret." }),
  namespace: secretNamespace,
  key: matching(/^[-._a-zA-Z0-9]+$/, {
    maxLength: MAX_SECRET_KEY_LENGTH,
    message: "must be a key of a Secret: letters, digits, '-', '_' and '.'",
  })
    .default("ca.crt")
    .meta({ description: "Which key of the Secret holds the certificates, in PEM." }),
});

const tls = withRule(
  z.object({
    caSecretRef: caSecretRef
      .meta({
        description:
          "The certificate authority that signed the BMC's certificate. Left out: the system's own trust.",
      })
      .exactOptional(),
    insecureSkipVerify: z.boolean().default(false).meta({
      description:
        "Takes any certificate. Whoever can answer in the BMC's place can then read the password, and lie about the power state on which restarts depend.",
    }),
  }),
  {
    cel: "!(has(self.caSecretRef) && self.insecureSkipVerify)",
    message: "may hold caSecretRef or insecureSkipVerify: true, not both",
    holds: (tls) => !(tls.caSecretRef !== undefined && tls.insecureSkipVerify),
  },
);

const redfish = z.object({
  address: withRule(nodeTemplate(MAX_ADDRESS_LENGTH), {
    cel: `self.matches(${celString(ADDRESS.source)})`,
    message:
      "must start with https:// or http:// and a host, and hold no user name and no blanks, like https://bmc-${node.name}.example.com",
    holds: (address) => ADDRESS.test(address),
  }).meta({
    description:
      "Where the Redfish service of a node's BMC is, without /redfish/v1. May hold ${node.name}, ${node.labels['key']} and ${node.annotations['key']}. A node's kubelet may change the node's annotations and most of its labels, and with them where the password is sent: prefer the name, or labels under node-restriction.kubernetes.io/.",
  }),
  systemId: nodeTemplate(MAX_SYSTEM_ID_LENGTH)
    .meta({
      description:
        "Which computer system of that Redfish service the node is, as in /redfish/v1/Systems/<systemId>; the same references as in address. Left out: the service must have exactly one.",
    })
    .exactOptional(),
  auth: z.enum(["Auto", "Session", "Basic"]).default("Auto").meta({
    description:
      "How to log in. Session: a Redfish session. Basic: HTTP Basic with every request. Auto: a session, and Basic where the service has none.",
  }),
  credentialsSecretRef: credentialsSecretRef.meta({
    description: "The Secret with the BMC's user name and password.",
  }),
  tls: tls.meta({ description: "How the BMC's certificate is verified." }).exactOptional(),
});

const level = withRule(
  z.object({
    name: labelName().meta({ description: "Name of the level, as attempts and messages give it." }),
    method: z.enum(["Redfish"]).meta({
      description:
        "How the level fences. Redfish: switches the node off through its BMC and reads the power state back.",
    }),
    timeout: duration({ min: "5s", max: "10m" }).default("60s").meta({
      description: "How long one attempt may take until the node is read back as off. From 5s to 10m.",
    }),
    retries: z.int().min(0).max(10).default(2).meta({
      description: "How often a failed attempt is repeated before the next level is tried. From 0 to 10.",
    }),
    backoff: duration({ min: "1s", max: "5m" })
      .default("5s")
      .meta({ description: "The pause before an attempt is repeated. From 1s to 5m." }),
    redfish: redfish.meta({ description: "The settings for method Redfish." }).exactOptional(),
  }),
  {
    cel: "(self.method == 'Redfish') == has(self.redfish)",
    message: "must be set with method Redfish, and with no other",
    holds: (level) => (level.method === "Redfish") === (level.redfish !== undefined),
    field: ["redfish"],
  },
);

const spec = z
  .object({
    precedence: z.int().min(0).max(1_000).default(0).meta({
      description:
        "Which topology counts where several select one node: the one with the higher precedence, then the one whose name comes first. From 0 to 1000.",
    }),
    nodeSelector: labelSelector().meta({
      description: "The nodes that are fenced this way, by their labels. {}: all.",
    }),
    afterFencing: z.enum(["PowerOn", "StayOff"]).default("PowerOn").meta({
      description:
        "What becomes of the node once its VMs are released. PowerOn: it is switched on again, and trusted anew when it comes up healthy. StayOff: it waits for a person.",
    }),
    levels: keyedList(level, { keys: ["name"], min: 1, max: MAX_LEVELS }).meta({
      description:
        "The ways to fence a node, tried in this order until one of them proves that the node is off. From 1 to 8.",
    }),
  })
  .meta({ description: "Which nodes are fenced, and how." });

const status = z
  .object({
    observedGeneration: count()
      .meta({ description: "The metadata.generation that this status was written for." })
      .exactOptional(),
    coveredNodes: count()
      .meta({ description: "How many nodes would be fenced by this topology." })
      .exactOptional(),
    conditions: conditions(["Accepted"]).exactOptional(),
  })
  .meta({ description: "What the topology has come to. Written by Holdfast." });

export const fencingTopology = defineKind({
  kind: "FencingTopology",
  plural: "fencingtopologies",
  singular: "fencingtopology",
  shortNames: ["ftopo"],
  scope: "Cluster",
  description:
    "FencingTopology says how a lost node is fenced. Without a topology that covers a VM's node the VM cannot be failed over: nobody could prove that it no longer runs there.",
  columns: [
    {
      name: "Nodes",
      type: "integer",
      jsonPath: ".status.coveredNodes",
      description: "Nodes fenced by this topology.",
    },
    {
      // kubectl shows the first result of a path only, and cannot count: so the first level, under its true name.
      name: "First level",
      type: "string",
      jsonPath: ".spec.levels[0].name",
      description: "The level that is tried first.",
    },
    {
      name: "Accepted",
      type: "string",
      jsonPath: '.status.conditions[?(@.type=="Accepted")].status',
      description: "Status of the condition Accepted.",
    },
    {
      name: "Age",
      type: "date",
      jsonPath: ".metadata.creationTimestamp",
      description: "Time since it was created.",
    },
  ],
  spec,
  status,
});

/** A FencingTopology as the API server returns it, defaults filled in. */
export type FencingTopology = z.output<typeof fencingTopology.stored>;
