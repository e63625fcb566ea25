// Proofs that a NodeFencing for the incarnation "boot-1" may hold, and such that it may not, each wrong in one place.
const base = { bootID: "boot-1", observedAt: "2026-11-22T10:30:01.000Z", detail: "what was seen" };

function remediation(kind: string) {
  return { apiVersion: "example.com/v1alpha1", kind, namespace: "medik8s", name: "node-1", uid: "u-1" };
}

const horizon = "2026-11-22T10:33:01.000Z";
const remediated = { ...base, type: "Remediated", remediation: remediation("FenceAgentsRemediation") };
const weak = {
  ...base,
  type: "Remediated",
  remediation: remediation("StorageBasedRemediation"),
  acceptedAs: "StorageBasedRemediation",
};
const selfFenced = {
  ...base,
  type: "SelfFenced",
  horizon,
  remediation: remediation("SelfNodeRemediation"),
  acceptedAs: "SelfNodeRemediation",
};
const storage = { ...base, type: "StorageFenced", cidrs: ["10.0.0.7/32"], acceptedAs: "StorageFenced" };
const confirmed = { ...base, type: "Confirmed", confirmedBy: "ada@example.com", confirmedAt: horizon };

function without(proof: object, field: string): object {
  return Object.fromEntries(Object.entries(proof).filter(([key]) => key !== field));
}

export const GOOD_PROOFS: readonly { readonly what: string; readonly proof: object }[] = [
  { what: "a proof of power-off", proof: { ...base, type: "PowerOff", attempt: 1 } },
  { what: "the word of a remediation that cuts power", proof: remediated },
  { what: "the word of a remediation that only waits, accepted by its name", proof: weak },
  { what: "a horizon that has passed, accepted by the remediation's name", proof: selfFenced },
  {
    what: "a horizon that no remediation brought, accepted as SelfFenced",
    proof: { ...base, type: "SelfFenced", horizon, acceptedAs: "SelfFenced" },
  },
  { what: "storage that refuses the node, accepted by name", proof: storage },
  { what: "a person's word", proof: { ...confirmed, confirmedWith: "kubectl-annotate" } },
];

export const BAD_PROOFS: readonly {
  readonly what: string;
  readonly proof: object;
  readonly field: string;
}[] = [
  {
    what: "a person's word without the person",
    proof: without(confirmed, "confirmedBy"),
    field: "confirmedBy",
  },
  { what: "a person's word of nobody", proof: { ...confirmed, confirmedBy: "" }, field: "confirmedBy" },
  {
    what: "a person in a proof of power-off",
    proof: { ...base, type: "PowerOff", confirmedBy: "ada" },
    field: "confirmedBy",
  },
  { what: "self-fencing without a horizon", proof: without(selfFenced, "horizon"), field: "horizon" },
  { what: "a horizon in a person's word", proof: { ...confirmed, horizon }, field: "horizon" },
  { what: "fenced storage without addresses", proof: without(storage, "cidrs"), field: "cidrs" },
  {
    what: "a remediation that is not named",
    proof: without(remediated, "remediation"),
    field: "remediation",
  },
  {
    what: "a remediation in a proof of power-off",
    proof: { ...base, type: "PowerOff", remediation: remediation("FenceAgentsRemediation") },
    field: "remediation",
  },
  {
    what: "a weak remediation that nobody accepted",
    proof: without(weak, "acceptedAs"),
    field: "acceptedAs",
  },
  {
    what: "a weak remediation accepted under another name",
    proof: { ...weak, acceptedAs: "SelfNodeRemediation" },
    field: "acceptedAs",
  },
  {
    what: "a kind of remediation that nobody knows, not accepted by its name",
    proof: { ...base, type: "Remediated", remediation: remediation("HopeRemediation") },
    field: "acceptedAs",
  },
  {
    what: "self-fencing that nobody accepted",
    proof: without(selfFenced, "acceptedAs"),
    field: "acceptedAs",
  },
  { what: "fenced storage that nobody accepted", proof: without(storage, "acceptedAs"), field: "acceptedAs" },
  {
    what: "an acceptance where nothing is weak",
    proof: { ...base, type: "PowerOff", acceptedAs: "StorageFenced" },
    field: "acceptedAs",
  },
];
