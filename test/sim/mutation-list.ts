// Guards of the operator, and how each is broken. A text that is no longer there is an error: the list follows the code.

export interface Edit {
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

export interface Mutation {
  readonly name: string;
  readonly edits: readonly Edit[];
}

function mutation(name: string, file: string, find: string, replace: string): Mutation {
  return { name, edits: [{ file, find, replace }] };
}

export const MUTATIONS: readonly Mutation[] = [
  mutation(
    "release before proof: any power state counts as Off",
    "src/act/fence/off-witness.ts",
    'if (reading.state !== "Off") {',
    "if (false) {",
  ),
  mutation(
    "one reading of Off is proof enough",
    "src/act/fence/off-witness.ts",
    'if (this.#firstOff !== undefined && reading.fresh) {\n      return { kind: "proven", readings: [this.#firstOff, reading] };',
    'if (true) {\n      return { kind: "proven", readings: [this.#firstOff ?? reading, reading] };',
  ),
  mutation("skip the UID precondition", "src/act/delete-by-uid.ts", "preconditions: { uid },", ""),
  mutation(
    "compare wall clocks: a Lease's age is counted from its own stamp",
    "src/observe/facts/node.ts",
    "const renewal = signal(previous?.renewal, lease.spec?.renewTime ?? undefined, context.seenAtMs);",
    "const renewal = signal(previous?.renewal, lease.spec?.renewTime ?? undefined, Date.parse(lease.spec?.renewTime ?? '') - context.seenAtWallMs + context.seenAtMs);",
  ),
  mutation(
    "ignore the epoch: a new leadership does not raise it",
    "src/run/leader-election.ts",
    "this.#claims.newTerm(this.#lastEpoch() + 1)",
    "this.#claims.newTerm(this.#lastEpoch())",
  ),
  mutation(
    "a leadership never ends by itself",
    "src/run/leadership.ts",
    "return Math.max(0, this.#validUntilMs - this.#clock.now().monotonicMs);",
    "return 1e9;",
  ),
  mutation(
    "a stand-by does not wait for the Lease to run out",
    "src/run/lease-observer.ts",
    "return sinceMs + Math.min(waitMs, MAX_LEASE_DURATION_MS);",
    "return sinceMs + Math.min(waitMs, 1_500);",
  ),
  mutation(
    "drop the storm hold",
    "src/decide/storm.ts",
    "if (lost === 0 || room >= 0) return { message: undefined, room };",
    "if (room < 1e9) return { message: undefined, room: 99 };",
  ),
  {
    name: "delete before taint",
    edits: [
      {
        file: "src/decide/returning.ts",
        find: "if (node !== undefined && !isOutOfService(node)) {",
        replace: "if (node === null) {",
      },
      {
        file: "src/act/release.ts",
        find: "if (read.value.taints.some((taint) => taint.key === OUT_OF_SERVICE_TAINT)) return undefined;",
        replace: "return undefined;",
      },
    ],
  },
  mutation(
    "retry off blindly: no look at the node before the shot",
    "src/act/fence.ts",
    'spared = step.mayPowerOff ? await whySpared(step, context) : "only the state was to be read";',
    "spared = undefined;",
  ),
  mutation(
    "forget dead migration targets",
    "src/decide/release.ts",
    "waiting.push({ protection, pods, livesElsewhere });",
    "if (!livesElsewhere) waiting.push({ protection, pods, livesElsewhere });",
  ),
  mutation(
    "silence counts across a gap in our own contact",
    "src/decide/judge-node.ts",
    "const sinceMs = Math.max(renewal.changedAtMs, snapshot.contact.unbrokenSinceMs);\n  const apparentMs",
    "const sinceMs = renewal.changedAtMs;\n  const apparentMs",
  ),
  mutation(
    "an isolated node is a lost one",
    "src/decide/judge-node.ts",
    'return { kind: "isolated", silence };',
    'return { kind: "lost", silence };',
  ),
  mutation(
    "a new leader judges before it has asked the host",
    "src/decide/judge-node.ts",
    "if (!isGone || !isStillAsked(probes)) return lease;",
    "return lease;",
  ),
  {
    name: "shoot first, write it down later",
    edits: [
      {
        file: "src/act/fence.ts",
        find: "const started = await writeLedger(context, before, startAttempt(before.status, start));",
        replace:
          "const started = { ok: true as const, value: { ...before, status: startAttempt(before.status, start) } };",
      },
      {
        file: "src/act/fence.ts",
        find: "return openAttempt(status)?.epoch === context.leadership.epoch",
        replace: "return true",
      },
    ],
  },
  {
    name: "fence in spite of a disarm",
    edits: [
      {
        file: "src/decide/disarm.ts",
        find: "if (disarm === undefined) return false;",
        replace: "return false;",
      },
      {
        file: "src/act/fence.ts",
        find: "if (disarm.value !== undefined) return disarm.value;",
        replace: "",
      },
    ],
  },
  {
    name: "no limit on fencings at once",
    edits: [
      {
        file: "src/decide/shots.ts",
        find: "if (busy < limit) return undefined;",
        replace: "if (busy < 99) return undefined;",
      },
      {
        file: "src/decide/fencing.ts",
        find: "if (underWay >= limit) {",
        replace: "if (underWay >= 99) {",
      },
    ],
  },
  mutation(
    "a taint of ours is never lifted",
    "src/act/taint.ts",
    "const others = node.taints.filter((taint) => !isOurs(taint));",
    "const others = node.taints;",
  ),
  mutation(
    "a node that is heard again keeps its ledger open",
    "src/decide/fencing.ts",
    'if (turn.verdicts.get(nodeName)?.kind !== "healthy") return;',
    "if (nodeName !== '') return;",
  ),
  mutation("the watch forgets deletions", "src/observe/watch-session.ts", "store.delete(event.raw);", ""),
  mutation(
    "a step that fails once is never tried again",
    "src/run/step-pacing.ts",
    "return Math.min(\n        MAX_RETRY_MS,",
    "return Math.max(\n        1e9,",
  ),
  mutation(
    "410 is taken for a broken connection",
    "src/observe/watch-session.ts",
    'return event.code === 410 ? "expired" : "broken";',
    'return "broken";',
  ),
];
