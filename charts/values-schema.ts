// What may stand in the chart's values: the one source of values.schema.json and of the table in the chart's README.
// Defaults stand in values.yaml.
import { z } from "zod";
import type { Setting } from "../src/config/setting.ts";
import { SETTINGS } from "../src/config/settings.ts";

/** Settings that the chart itself decides: where the pod is, and who it is. */
const OF_THE_CHART: readonly string[] = ["kubeconfig", "namespace", "identity", "listen-address"];

const labels = z.record(z.string(), z.string());
const monitor = (what: string) =>
  z
    .strictObject({
      enabled: z.boolean().describe(`Whether to make a ${what}; needs the Prometheus operator's kinds.`),
      interval: z
        .string()
        .regex(/^[1-9]\d*(ms|s|m)$/)
        .describe("How often each replica is scraped."),
      labels: labels.describe("Labels by which your Prometheus chooses it."),
    })
    .describe(what);
const labelled = (what: string, needs: string) =>
  z
    .strictObject({
      enabled: z.boolean().describe(`Whether to make ${what}${needs}.`),
      labels: labels.describe("Labels by which it is found."),
    })
    .describe(what);

const settings = z
  .strictObject(
    Object.fromEntries(
      Object.entries<Setting<unknown>>(SETTINGS)
        .filter(([name]) => !OF_THE_CHART.includes(name))
        .map(([name, { help, allowed }]) => [
          name,
          z
            .union([z.string().min(1), z.number(), z.boolean()])
            .optional()
            .describe(`${help} Allowed: ${allowed}.`),
        ]),
    ),
  )
  .describe("Settings of the operator by the names of their flags, such as `node-lost-after: 30s`.");

/** The whole of values.yaml. Strict everywhere, so that a misspelt name is refused instead of ignored. */
export const valuesSchema = z.strictObject({
  replicas: z
    .number()
    .int()
    .min(1)
    .max(5)
    .describe("How many replicas run. One leads; with a single one nothing acts while its node is down."),
  image: z
    .strictObject({
      repository: z
        .string()
        .regex(/^[a-z0-9][a-zA-Z0-9._:/-]*$/)
        .describe("Where the image is, without tag: your registry's name for it."),
      tag: z
        .string()
        .regex(/^[A-Za-z0-9_.-]{0,128}$/)
        .describe("Tag; empty takes the chart's appVersion."),
      digest: z
        .string()
        .regex(/^(sha256:[0-9a-f]{64})?$/)
        .describe("Digest; wins over the tag."),
      pullPolicy: z.enum(["Always", "IfNotPresent", "Never"]).describe("When the kubelet pulls it."),
      fenceAgents: z
        .boolean()
        .describe("Whether to run the fuller image, with the fence agents; adds `-fence-agents` to the tag."),
    })
    .describe("The operator's image."),
  imagePullSecrets: z
    .array(z.strictObject({ name: z.string().min(1) }))
    .describe("Secrets with credentials for the registry."),
  settings,
  priorityClassName: z.string().describe("Priority class of the pods; empty for none."),
  resources: z
    .looseObject({})
    .describe("Requests and limits. A limit on the processor would slow a failover down."),
  nodeSelector: labels.describe("Nodes that the replicas may run on."),
  tolerations: z.array(z.looseObject({})).describe("Taints that the replicas bear."),
  spread: z
    .strictObject({
      oneReplicaPerNode: z
        .boolean()
        .describe("Whether two replicas may never share a node. False only for a cluster of one node."),
      topologyKey: z
        .string()
        .min(1)
        .describe("Node label over whose values replicas are spread where possible."),
    })
    .describe("Where replicas run in relation to each other."),
  podAnnotations: labels.describe("Further annotations of the pods."),
  podLabels: labels.describe("Further labels of the pods."),
  crds: z
    .strictObject({
      install: z
        .boolean()
        .describe(
          "Whether this release brings the CRDs, and new versions of them with an upgrade. They outlive it.",
        ),
    })
    .describe("The kinds."),
  admission: z
    .strictObject({
      enabled: z
        .boolean()
        .describe(
          "Whether the API server protects ledgers from hand edits, and CRDs from deletion (ValidatingAdmissionPolicy).",
        ),
    })
    .describe("Admission policies."),
  remediation: z
    .strictObject({
      enabled: z
        .boolean()
        .describe(
          "Whether levels of method Remediation may drive the remediation operators of the medik8s family; needs their namespace `medik8s-leases`.",
        ),
    })
    .describe("Rights on other operators' remediations."),
  networkPolicy: z
    .strictObject({
      enabled: z.boolean().describe("Whether only the port of probes and metrics can be reached."),
      egress: z
        .array(z.looseObject({}))
        .describe(
          "Rules for outgoing traffic; empty allows all. Must cover the API server, DNS and every fence device.",
        ),
    })
    .describe("Network policy of the pods."),
  podDisruptionBudget: z
    .strictObject({ enabled: z.boolean().describe("Whether drains take at most one replica at a time.") })
    .describe("Disruption budget."),
  monitoring: z
    .strictObject({
      podMonitor: monitor("PodMonitor"),
      serviceMonitor: monitor("ServiceMonitor"),
      rules: labelled("the alerts as a PrometheusRule", "; needs the Prometheus operator's kinds").extend({
        runbookURL: z
          .string()
          .regex(/^https?:\/\/[^\s#]+$/)
          .describe(
            "Where people find docs/runbook.md; each alert's runbook_url is this with # and its section's name.",
          ),
      }),
      dashboards: labelled("the dashboards as a ConfigMap", ", which Grafana's side-car finds by its label"),
    })
    .describe("What Prometheus and Grafana need."),
});

/** One row of the table of values. */
export interface ValueRow {
  readonly path: string;
  readonly about: string;
}

/** Every value that can be set, in the order of the schema; `settings` is one of them. */
export function valueRows(): readonly ValueRow[] {
  return rowsOf(valuesSchema, "");
}

function rowsOf(schema: z.ZodType, path: string): readonly ValueRow[] {
  const isGroup =
    schema instanceof z.ZodObject && path !== "settings" && Object.keys(schema.shape).length > 0;
  if (!isGroup) return [{ path, about: schema.description ?? "" }];
  return Object.entries<z.ZodType>(schema.shape).flatMap(([name, inner]) =>
    rowsOf(inner, path === "" ? name : `${path}.${name}`),
  );
}
