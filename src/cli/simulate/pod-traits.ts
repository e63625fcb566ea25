// What a launcher pod asks of its place beside room: where its disks are, what its CPU needs, and which other pods it wants
// near or far, as the scheduler filters them. Only required rules; preferences move nobody.
import { z } from "zod";
import { satisfies } from "../../decide/placement.ts";
import { type LabelSelector, selectorMatches } from "../../model/label-selector.ts";
import type { NodeFact } from "../../model/node.ts";
import type { NodeSelectorRequirement } from "../../model/virtual-machine.ts";

const requirement = z.object({
  key: z.string(),
  operator: z.enum(["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"]),
  values: z
    .array(z.string())
    .nullish()
    .transform((values) => values ?? []),
});
const labelSelector = z.object({
  matchLabels: z.record(z.string(), z.string()).nullish(),
  matchExpressions: z
    .array(
      z.object({
        key: z.string(),
        operator: z.enum(["In", "NotIn", "Exists", "DoesNotExist"]),
        values: z.array(z.string()).nullish(),
      }),
    )
    .nullish(),
});
const affinityTerm = z.object({
  labelSelector: labelSelector.nullish(),
  topologyKey: z.string(),
  namespaces: z.array(z.string()).nullish(),
  namespaceSelector: labelSelector.nullish(),
});
const rules = z.object({ requiredDuringSchedulingIgnoredDuringExecution: z.array(affinityTerm).nullish() });
const podObject = z.object({
  metadata: z.object({
    name: z.string(),
    namespace: z.string().default(""),
    labels: z.record(z.string(), z.string()).nullish(),
  }),
  spec: z.object({
    nodeSelector: z.record(z.string(), z.string()).nullish(),
    affinity: z.object({ podAffinity: rules.nullish(), podAntiAffinity: rules.nullish() }).nullish(),
    volumes: z
      .array(z.object({ persistentVolumeClaim: z.object({ claimName: z.string() }).nullish() }))
      .nullish(),
  }),
});
const claimObject = z.object({
  metadata: z.object({ name: z.string(), namespace: z.string().default("") }),
  spec: z.object({ volumeName: z.string().nullish() }),
});
const volumeObject = z.object({
  metadata: z.object({ name: z.string() }),
  spec: z.object({
    nodeAffinity: z
      .object({
        required: z
          .object({
            nodeSelectorTerms: z.array(z.object({ matchExpressions: z.array(requirement).nullish() })),
          })
          .nullish(),
      })
      .nullish(),
  }),
});

/** Labels by which KubeVirt's nodes say what their CPU can. Those of a host model belong to one migration alone. */
const CPU_LABEL = /^(?!host-model)[^/]*\.node\.kubevirt\.io\//;

type Term = z.output<typeof affinityTerm>;
type NodeTerms = readonly (readonly NodeSelectorRequirement[])[];

/** What decides about a pod's place, beside room. */
export interface PodTraits {
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly cpuLabels: Readonly<Record<string, string>>;
  readonly near: readonly Term[];
  readonly far: readonly Term[];
  /** `namespace/name` of its PersistentVolumeClaims. */
  readonly claims: readonly string[];
}

/** Where volumes can be attached, by `namespace/name` of the claim; no terms: anywhere. */
export type DiskPlaces = ReadonlyMap<string, { readonly volume: string; readonly terms: NodeTerms }>;

/** Reads a pod; undefined where it is none. */
export function traitsOf(raw: unknown): PodTraits | undefined {
  const pod = podObject.safeParse(raw).data;
  if (pod === undefined) return undefined;
  const { namespace, labels } = pod.metadata;
  const { nodeSelector, affinity, volumes } = pod.spec;
  const cpuLabels = Object.entries(nodeSelector ?? {}).filter(([key]) => CPU_LABEL.test(key));
  return {
    namespace,
    labels: labels ?? {},
    cpuLabels: Object.fromEntries(cpuLabels),
    near: affinity?.podAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? [],
    far: affinity?.podAntiAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? [],
    claims: (volumes ?? []).flatMap(({ persistentVolumeClaim: claim }) =>
      claim ? [`${namespace}/${claim.claimName}`] : [],
    ),
  };
}

/** Where each bound claim's volume can be attached. */
export function diskPlaces(claims: readonly unknown[], volumes: readonly unknown[]): DiskPlaces {
  const termsByVolume = new Map<string, NodeTerms>();
  for (const raw of volumes) {
    const volume = volumeObject.safeParse(raw).data;
    const terms = volume?.spec.nodeAffinity?.required?.nodeSelectorTerms ?? [];
    if (volume !== undefined)
      termsByVolume.set(
        volume.metadata.name,
        terms.map(({ matchExpressions }) => matchExpressions ?? []),
      );
  }
  const places = new Map<string, { volume: string; terms: NodeTerms }>();
  for (const raw of claims) {
    const claim = claimObject.safeParse(raw).data;
    const volume = claim?.spec.volumeName ?? "";
    const terms = termsByVolume.get(volume);
    if (claim !== undefined && terms !== undefined)
      places.set(`${claim.metadata.namespace}/${claim.metadata.name}`, { volume, terms });
  }
  return places;
}

/** A pod that stands somewhere. */
export interface StandingPod {
  readonly traits: PodTraits;
  readonly node: NodeFact;
}

type Namespaces = ReadonlyMap<string, Readonly<Record<string, string>>>;

/** What keeps the pod off the node, in words; undefined where nothing does. */
export function obstacle(
  { placement }: NodeFact,
  pod: PodTraits,
  world: {
    readonly disks: DiskPlaces;
    readonly standing: readonly StandingPod[];
    readonly namespaces: Namespaces;
  },
): string | undefined {
  for (const claim of pod.claims) {
    const place = world.disks.get(claim);
    const affinityTerms = place?.terms ?? [];
    const anywhere = { key: "", nodeSelector: {}, tolerations: [EVERYTHING] };
    if (!satisfies(placement, { ...anywhere, affinityTerms }))
      return `cannot reach its disk ${claim} (PersistentVolume ${place?.volume ?? ""})`;
  }
  const lacks = Object.entries(pod.cpuLabels).find(([key, value]) => placement.labels[key] !== value);
  if (lacks !== undefined) return `lacks the CPU it needs (${lacks[0]})`;
  const sameDomain = (topologyKey: string, { node }: StandingPod): boolean => {
    const domain = placement.labels[topologyKey];
    return domain !== undefined && node.placement.labels[topologyKey] === domain;
  };
  const meant = (term: Term, owner: PodTraits, other: PodTraits): boolean =>
    isMeant(term, owner, other, world.namespaces);
  for (const other of world.standing) {
    const term =
      pod.far.find((one) => sameDomain(one.topologyKey, other) && meant(one, pod, other.traits)) ??
      other.traits.far.find((one) => sameDomain(one.topologyKey, other) && meant(one, other.traits, pod));
    if (term !== undefined)
      return `holds what it must stay away from (pod anti-affinity by ${term.topologyKey})`;
  }
  // As the scheduler has it: the first of a group may stand where nobody of the group is yet.
  const isFirst =
    pod.near.every((term) => meant(term, pod, pod)) &&
    !world.standing.some(({ traits }) => pod.near.some((term) => meant(term, pod, traits)));
  for (const term of pod.near) {
    if (isFirst && placement.labels[term.topologyKey] !== undefined) continue;
    if (
      !world.standing.some((other) => sameDomain(term.topologyKey, other) && meant(term, pod, other.traits))
    )
      return `holds nothing of what it must be near (pod affinity by ${term.topologyKey})`;
  }
  return undefined;
}

const EVERYTHING = { key: undefined, operator: "Exists", value: undefined, effect: undefined } as const;

function isMeant(term: Term, owner: PodTraits, other: PodTraits, namespaces: Namespaces): boolean {
  if (!term.labelSelector) return false;
  const listed = term.namespaces ?? [];
  const isThere = term.namespaceSelector
    ? listed.includes(other.namespace) ||
      selectorMatches(selectorOf(term.namespaceSelector), namespaces.get(other.namespace) ?? {})
    : listed.length === 0
      ? other.namespace === owner.namespace
      : listed.includes(other.namespace);
  return isThere && selectorMatches(selectorOf(term.labelSelector), other.labels);
}

function selectorOf({ matchLabels, matchExpressions }: z.output<typeof labelSelector>): LabelSelector {
  return {
    matchLabels: matchLabels ?? {},
    matchExpressions: (matchExpressions ?? []).map(({ key, operator, values }) => ({
      key,
      operator,
      values: values ?? [],
    })),
  };
}
