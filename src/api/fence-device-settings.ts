// How one fence device is reached, method by method: the part of a FencingTopology that knows addresses and Secrets.
import { z } from "zod";
import { nodeTemplate } from "./node-template.ts";
import { celString, withRule } from "./rule.ts";
import { labelName, matching, objectName } from "./scalar.ts";

const MAX_ADDRESS_LENGTH = 512;
const MAX_SYSTEM_ID_LENGTH = 256;
const MAX_SECRET_KEY_LENGTH = 253;
const MAX_AGENT_NAME_LENGTH = 63;
const MAX_PARAMETERS = 32;
const MAX_PARAMETER_NAME_LENGTH = 63;
const MAX_PARAMETER_LENGTH = 512;

/** Scheme, host and maybe a path; no blanks, and no user name or password, which belong into the Secret. */
const ADDRESS = /^https?:\/\/[^/@ \t\r\n]+(\/[^ \t\r\n]*)?$/;

/** A program's plain name: no path, so that nothing outside the agents' folder can be named. */
const AGENT_NAME = /^fence_[a-z0-9_]+$/;

/** As agents spell theirs, `tls1.2` included. */
const PARAMETER_NAME = /^[A-Za-z0-9][._A-Za-z0-9]*$/;

/**
 * Parameters that nobody may set: what is asked of the agent is ours to say; some would have it print what it is told,
 * secrets included, or run programs of somebody's choice; `missing_as_off` and `port_as_ip` have it answer for a machine
 * that it does not see, or that is another.
 */
export const FORBIDDEN_PARAMETER =
  /^(action|option|nodename|help|version|quiet|ssh_options|verbose(_level)?|debug(_file)?|missing_as_off|port_as_ip|.+_script|.+_path)$/;

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

export const redfish = z.object({
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

const parameterValues = z
  .record(z.string(), nodeTemplate(MAX_PARAMETER_LENGTH))
  .refine((parameters) => Object.keys(parameters).length <= MAX_PARAMETERS, {
    message: `must hold at most ${MAX_PARAMETERS} parameters`,
  })
  .meta({ maxProperties: MAX_PARAMETERS });

const parameters = withRule(
  withRule(parameterValues, {
    cel: `self.all(key, size(key) <= ${MAX_PARAMETER_NAME_LENGTH} && key.matches(${celString(PARAMETER_NAME.source)}))`,
    message: "every key must be a parameter of the agent: letters, digits, '_' and '.'",
    holds: (set) =>
      Object.keys(set).every((key) => key.length <= MAX_PARAMETER_NAME_LENGTH && PARAMETER_NAME.test(key)),
  }),
  {
    cel: `self.all(key, !key.matches(${celString(FORBIDDEN_PARAMETER.source)}))`,
    message:
      "must not hold action or nodename, which Holdfast sets itself, nor parameters that make an agent print what it is told, run other programs or answer for another machine (verbose, debug_file, ssh_options, missing_as_off, port_as_ip, …_script, …_path)",
    holds: (set) => !Object.keys(set).some((key) => FORBIDDEN_PARAMETER.test(key)),
  },
);

export const fenceAgent = z.object({
  agent: matching(AGENT_NAME, {
    maxLength: MAX_AGENT_NAME_LENGTH,
    message: "must be the name of a fence agent without a path, like fence_ipmilan",
  }).meta({ description: "The agent's program, such as fence_ipmilan, fence_apc_snmp or fence_redfish." }),
  parameters: parameters.default({}).meta({
    description:
      "The agent's parameters as its metadata names them, such as ip, plug or systems_uri; values may hold ${node.name}, ${node.labels['key']} and ${node.annotations['key']}. They reach the agent on its standard input. Secret ones belong into the Secret.",
  }),
  parametersSecretRef: z
    .object({ name: objectName().meta({ description: "Name of the Secret." }), namespace: secretNamespace })
    .meta({
      description: "A Secret each of whose keys is a parameter of the agent, such as username and password.",
    })
    .exactOptional(),
  tls: z
    .object({
      caSecretRef: caSecretRef.meta({
        description:
          "The certificate authority that signed the device's certificate. Agents that use curl, OpenSSL or Python's requests find it through their environment.",
      }),
    })
    .meta({ description: "How the device's certificate is verified." })
    .exactOptional(),
});
