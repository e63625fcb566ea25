import { describe, expect, it } from "vitest";
import { performFence } from "../../src/act/fence.ts";
import { MAX_FENCING_ATTEMPTS, type FencingAttempt } from "../../src/model/fencing.ts";
import { failing } from "../support/fake-api.ts";
import {
  ActScene,
  BOOT_ID,
  EPOCH,
  FENCING_PATH,
  LEASE_PATH,
  LEVEL,
  NODE_PATH,
  SECRET_PATH,
} from "./act-fixture.ts";
import { FakeDevice, IDENTITY } from "./fake-device.ts";

const LEDGER_WRITE = `PATCH ${FENCING_PATH}/status`;
const OPEN: FencingAttempt = {
  number: 3,
  level: "bmc",
  method: "Redfish",
  epoch: EPOCH - 1,
  startedAt: "2026-11-22T00:00:00.000Z",
  outcome: "Started",
};

function sceneWith(change: (scene: ActScene, device: FakeDevice) => void = () => {}) {
  const scene = new ActScene();
  const device = new FakeDevice(scene.clock);
  scene.device = device;
  change(scene, device);
  return { scene, device };
}

/** Somebody else writes the ledger's status. */
function writeLedgerStatus(scene: ActScene, status: object): void {
  scene.api.objects.change(FENCING_PATH, (ledger) => {
    ledger.status = { ...ledger.status, ...status };
  });
}

function fence(scene: ActScene, step: { mayPowerOff?: boolean; level?: typeof LEVEL } = {}) {
  const { mayPowerOff = true, level = LEVEL } = step;
  const fencing = scene.fencingFact();
  return scene.finish(performFence({ kind: "Fence", fencing, level, mayPowerOff }, scene.context()));
}

describe("a fencing attempt", () => {
  it("goes on record before the device is asked anything, and its proof in one write after two Off readings", async () => {
    const { scene, device } = sceneWith();
    scene.fencing();
    device.before = () => {
      expect(scene.ledger).toMatchObject({ phase: "Fencing", epoch: EPOCH });
      expect(scene.ledger.attempts).toMatchObject([{ number: 1, outcome: "Started", epoch: EPOCH }]);
    };
    expect(await fence(scene)).toEqual({ outcome: "done" });
    expect(device.requests).toEqual(["off"]);
    expect(scene.api.writes).toEqual([LEDGER_WRITE, LEDGER_WRITE]);
    expect(scene.ledger).toMatchObject({
      phase: "Fenced",
      attempts: [{ number: 1, level: "bmc", method: "Redfish", outcome: "PoweredOff", powerState: "Off" }],
      proof: { type: "PowerOff", bootID: BOOT_ID, attempt: 1 },
    });
    expect(scene.ownWrites).toEqual(["fencings/nf-worker-1", "fencings/nf-worker-1"]);
  });

  it("names in the proof which machine answered", async () => {
    const { scene } = sceneWith();
    scene.fencing();
    await fence(scene);
    const detail = scene.ledger.proof?.detail;
    expect(detail).toContain("Redfish https://bmc-worker-1.example.com");
    expect(detail).toContain(IDENTITY.path);
    expect(detail).toContain("host name worker-1");
    expect(detail).toContain(`UUID ${IDENTITY.uuid}`);
  });

  it("reads the device's address and password anew, for this node and from the operator's namespace", async () => {
    const { scene } = sceneWith();
    scene.fencing();
    await fence(scene);
    expect(scene.opened).toMatchObject([
      {
        method: "Redfish",
        redfish: {
          address: "https://bmc-worker-1.example.com",
          systemId: "1",
          username: "admin",
          password: "s3cret",
        },
      },
    ]);
  });

  it("trusts the authority that the level names", async () => {
    const { scene } = sceneWith();
    scene.api.objects.seed("/api/v1/namespaces/pki/secrets/ca", { data: { "ca.crt": btoa("PEM") } });
    scene.fencing();
    const caSecret = { name: "ca", namespace: "pki", key: "ca.crt" };
    await fence(scene, { level: { ...LEVEL, redfish: { ...LEVEL.redfish, caSecret } } });
    expect(scene.opened).toMatchObject([{ redfish: { caPem: "PEM" } }]);
  });

  it("is proven by a machine that is off already, without any request", async () => {
    const { scene, device } = sceneWith((_scene, device) => (device.state = "Off"));
    scene.fencing();
    expect(await fence(scene)).toEqual({ outcome: "done" });
    expect(device.requests).toEqual([]);
    expect(scene.ledger.attempts).toMatchObject([{ outcome: "AlreadyOff" }]);
  });

  it("gives the device back only after the proof stands", async () => {
    const { scene, device } = sceneWith();
    scene.fencing();
    const close = device.close.bind(device);
    let proofAtClose: unknown;
    device.close = () => {
      proofAtClose = scene.ledger.proof;
      return close();
    };
    await fence(scene);
    expect(proofAtClose).toBeDefined();
  });
});

describe("an attempt left open", () => {
  for (const [epoch, answer] of [
    [EPOCH - 1, "the leader changed"],
    [EPOCH, "given up"],
  ] as const) {
    it(`by epoch ${epoch} is closed as Abandoned in the write that starts the next`, async () => {
      const { scene, device } = sceneWith();
      scene.fencing({ phase: "Fencing", epoch, attempts: [{ ...OPEN, epoch }] });
      const statuses: unknown[] = [];
      device.before = (call) => {
        if (call === "off") statuses.push(scene.ledger.attempts);
      };
      await fence(scene);
      expect(statuses).toMatchObject([
        [
          { number: 3, outcome: "Abandoned", answer: expect.stringContaining(answer) },
          { number: 4, outcome: "Started" },
        ],
      ]);
      expect(scene.ledger.proof).toMatchObject({ attempt: 4 });
    });
  }

  it("and many before it are kept no further than the last few", async () => {
    const { scene } = sceneWith();
    const attempts = Array.from({ length: MAX_FENCING_ATTEMPTS }, (_, i) => ({
      ...OPEN,
      number: i + 1,
      outcome: "Unreachable" as const,
    }));
    scene.fencing({ phase: "Fencing", attempts });
    await fence(scene);
    expect(scene.ledger.attempts).toHaveLength(MAX_FENCING_ATTEMPTS);
    expect(scene.ledger.attempts.at(-1)).toMatchObject({
      number: MAX_FENCING_ATTEMPTS + 1,
      outcome: "PoweredOff",
    });
  });
});

describe("a node that shows life", () => {
  const LIFE: readonly (readonly [string, (scene: ActScene) => void, string])[] = [
    [
      "renews its Lease unseen by our watch",
      (scene) => scene.renewLease({ noticed: false }),
      "renewed its Lease",
    ],
    [
      "renewed its Lease and our watch has told us",
      (scene) => scene.renewLease({ noticed: true }),
      "renewed its Lease",
    ],
    ["reports another boot ID", (scene) => scene.reboot(), "boot ID boot-2"],
    [
      "was replaced by a Node object of the same name",
      (scene) => {
        scene.api.objects.change(NODE_PATH, (node) => (node.metadata.uid = "other-uid"));
      },
      "new Node object",
    ],
    [
      "has no Lease and is not called Unknown",
      (scene) => {
        scene.api.objects.drop(LEASE_PATH);
        scene.api.objects.change(NODE_PATH, (node) => {
          node.status = { nodeInfo: { bootID: BOOT_ID }, conditions: [{ type: "Ready", status: "True" }] };
        });
      },
      "no Lease",
    ],
    [
      "cannot be read",
      (scene) => {
        scene.api.intercept = ({ path }) => (path === LEASE_PATH ? failing("timeout") : undefined);
      },
      "could not be read",
    ],
    ["has no Node object any more", (scene) => scene.api.objects.drop(NODE_PATH), "gone"],
  ];
  for (const [what, happens, why] of LIFE) {
    it(`is not shot when it ${what} before the request`, async () => {
      const { scene, device } = sceneWith();
      scene.fencing();
      device.after = (call) => {
        if (call === "read" && device.seen.length === 1) happens(scene);
      };
      expect(await fence(scene)).toMatchObject({ outcome: "refused" });
      expect(device.requests).toEqual([]);
      expect(scene.ledger.proof).toBeUndefined();
      expect(scene.ledger.attempts).toMatchObject([
        { outcome: "Abandoned", answer: expect.stringContaining(why) },
      ]);
    });
  }

  for (const [what, happens, why] of LIFE.slice(0, 5)) {
    it(`is not called dead by a device that says Off when it ${what}`, async () => {
      const { scene, device } = sceneWith((_scene, device) => (device.state = "Off"));
      scene.fencing();
      device.after = () => {
        if (device.seen.length === 2) happens(scene);
      };
      expect(await fence(scene)).toMatchObject({ outcome: "refused" });
      expect(scene.ledger.proof).toBeUndefined();
      expect(scene.ledger).toMatchObject({
        phase: "Fencing",
        attempts: [{ outcome: "Abandoned", powerState: "Off", answer: expect.stringContaining(why) }],
      });
    });
  }

  it("is believed by either sign: a changed Lease counts whatever the time it was seen to change", async () => {
    const { scene, device } = sceneWith();
    scene.fencing();
    const context = scene.context();
    const refreshNode: typeof context.facts.refreshNode = async (node) => {
      const read = await context.facts.refreshNode(node);
      return read.ok ? { ...read, value: { ...read.value, leaseChanged: true } } : read;
    };
    const seeing = { ...context, facts: { ...context.facts, refreshNode } };
    const step = { kind: "Fence", fencing: scene.fencingFact(), level: LEVEL, mayPowerOff: true } as const;
    expect(await scene.finish(performFence(step, seeing))).toMatchObject({ outcome: "refused" });
    expect(device.requests).toEqual([]);
  });

  it.each([
    [
      "a FencingDisarm that was written after the decision",
      { ok: true, status: 200, value: "FencingDisarm work" },
    ],
    ["disarms that cannot be read", { ok: false, kind: "timeout", status: undefined, message: "no answer" }],
  ] as const)("is spared by %s", async (_what, answer) => {
    const { scene, device } = sceneWith();
    scene.fencing();
    const context = scene.context();
    const seeing = { ...context, facts: { ...context.facts, disarmedBy: async () => answer } };
    const step = { kind: "Fence", fencing: scene.fencingFact(), level: LEVEL, mayPowerOff: true } as const;
    expect(await scene.finish(performFence(step, seeing))).toMatchObject({ outcome: "refused" });
    expect(device.requests).toEqual([]);
    expect(scene.ledger.attempts).toMatchObject([{ outcome: "Abandoned" }]);
    expect(scene.ledger.proof).toBeUndefined();
  });

  it.each<[string, (scene: ActScene) => void]>([
    ["deleted", (scene) => scene.api.objects.drop(FENCING_PATH)],
    [
      "deleted and made anew",
      (scene) => scene.api.objects.change(FENCING_PATH, ({ metadata }) => (metadata.uid = "another")),
    ],
    ["closed", (scene) => writeLedgerStatus(scene, { phase: "Aborted" })],
    ["without the attempt", (scene) => writeLedgerStatus(scene, { attempts: [] })],
    [
      "about another leader's",
      (scene) => writeLedgerStatus(scene, { attempts: [{ ...OPEN, epoch: EPOCH + 1 }] }),
    ],
    [
      "not to be read",
      (scene) =>
        void (scene.api.intercept = ({ path, method }) =>
          path === FENCING_PATH && method === "GET" ? failing("unreachable") : undefined),
    ],
  ])("is spared while its ledger is %s: nobody would know of the shot", async (_what, happens) => {
    const { scene, device } = sceneWith();
    scene.fencing();
    device.after = (call) => {
      if (call === "read" && device.seen.length === 1) happens(scene);
    };
    expect((await fence(scene)).outcome).not.toBe("done");
    expect(device.requests).toEqual([]);
  });

  it("is shot all the same when it has no Lease and the node controller calls it Unknown", async () => {
    const { scene } = sceneWith();
    scene.api.objects.drop(LEASE_PATH);
    scene.fencing();
    expect(await fence(scene)).toEqual({ outcome: "done" });
  });

  it("is called dead when its Node object vanished after the request", async () => {
    const { scene, device } = sceneWith();
    scene.fencing();
    device.after = (call) => {
      if (call === "off") scene.api.objects.drop(NODE_PATH);
    };
    expect(await fence(scene)).toEqual({ outcome: "done" });
  });

  it("is called dead after all when the last look fails twice and then succeeds", async () => {
    const { scene, device } = sceneWith((_scene, device) => (device.state = "Off"));
    scene.fencing();
    let failures = 0;
    scene.api.intercept = ({ path }) => {
      if (path !== LEASE_PATH || failures === 2) return undefined;
      failures += 1;
      return failing("unreachable");
    };
    expect(await fence(scene)).toEqual({ outcome: "done" });
    expect(device.requests).toEqual([]);
  });
});

describe("a device", () => {
  it("that speaks of another machine than the kubelet is not asked to cut it", async () => {
    const { scene, device } = sceneWith();
    scene.api.objects.change(NODE_PATH, (node) => {
      node.status = { nodeInfo: { bootID: BOOT_ID, systemUUID: "11111111-2222-3333-4444-555555555555" } };
    });
    scene.fencing();
    expect(await fence(scene)).toMatchObject({ outcome: "refused" });
    expect(device.requests).toEqual([]);
    expect(scene.ledger.attempts).toMatchObject([{ outcome: "Misconfigured" }]);
  });

  it("that stays On after its 204 leaves no proof", async () => {
    const { scene, device } = sceneWith((_scene, device) => {
      device.misread = () => ({ ok: true, state: "On", identity: IDENTITY });
    });
    scene.fencing();
    expect(await fence(scene)).toMatchObject({
      outcome: "refused",
      detail: expect.stringContaining("StillOn"),
    });
    expect(device.requests).toEqual(["off"]);
    expect(scene.ledger).toMatchObject({
      phase: "Fencing",
      attempts: [{ outcome: "StillOn", powerState: "On" }],
    });
  });

  for (const [kind, outcome] of [
    ["denied", "Denied"],
    ["unreachable", "Unreachable"],
    ["timeout", "TimedOut"],
    ["misconfigured", "Misconfigured"],
    ["untrusted", "Misconfigured"],
  ] as const) {
    it(`that is ${kind} goes on record as ${outcome} with its words`, async () => {
      const { scene } = sceneWith((_scene, device) => {
        device.misread = () => ({ ok: false, kind, message: `it said ${kind}` });
      });
      scene.fencing();
      expect(await fence(scene)).toMatchObject({ outcome: "refused" });
      expect(scene.ledger.attempts).toMatchObject([
        { outcome, answer: expect.stringContaining(`it said ${kind}`) },
      ]);
    });
  }
});

describe("settings that lead to no device", () => {
  const WRONG: readonly (readonly [string, (scene: ActScene) => void, string])[] = [
    ["a Secret that does not exist", (scene) => scene.api.objects.drop(SECRET_PATH), "secrets/bmc not found"],
    [
      "a Secret without a password",
      (scene) =>
        scene.api.objects.change(SECRET_PATH, (secret) => (secret["data"] = { username: btoa("admin") })),
      "username and password",
    ],
  ];
  for (const [what, happens, why] of WRONG) {
    it(`go on record as Misconfigured: ${what}`, async () => {
      const { scene } = sceneWith();
      happens(scene);
      scene.fencing();
      expect(await fence(scene)).toMatchObject({ outcome: "refused" });
      expect(scene.opened).toEqual([]);
      expect(scene.ledger.attempts).toMatchObject([
        { outcome: "Misconfigured", answer: expect.stringContaining(why) },
      ]);
    });
  }

  it("go on record with the label that the node lacks", async () => {
    const { scene } = sceneWith();
    scene.fencing();
    const redfish = { ...LEVEL.redfish, address: "https://${node.labels['bmc']}" };
    await fence(scene, { level: { ...LEVEL, redfish } });
    expect(scene.ledger.attempts).toMatchObject([
      { outcome: "Misconfigured", answer: expect.stringContaining("${node.labels['bmc']}") },
    ]);
  });

  it("are not blamed when the API server did not answer", async () => {
    const { scene } = sceneWith();
    scene.api.intercept = ({ path }) => (path === SECRET_PATH ? failing("timeout") : undefined);
    scene.fencing();
    await fence(scene);
    expect(scene.ledger.attempts).toMatchObject([{ outcome: "Abandoned" }]);
  });
});

describe("a ledger that others write", () => {
  it("in between loses the attempt's start to them: conflict, and the device is not asked", async () => {
    const { scene, device } = sceneWith();
    scene.fencing();
    const fencing = scene.fencingFact();
    scene.api.objects.change(FENCING_PATH, () => {});
    const performed = await scene.finish(
      performFence({ kind: "Fence", fencing, level: LEVEL, mayPowerOff: true }, scene.context()),
    );
    expect(performed.outcome).toBe("conflict");
    expect(device.seen).toEqual([]);
  });

  it("of a newer leader is not touched: stale, and nothing is sent", async () => {
    const { scene, device } = sceneWith();
    scene.fencing({ epoch: EPOCH + 1 });
    expect(await fence(scene)).toMatchObject({ outcome: "stale" });
    expect(scene.api.seen).toEqual([]);
    expect(device.seen).toEqual([]);
  });

  for (const status of [
    { phase: "Aborted" as const },
    {
      phase: "Fenced" as const,
      proof: {
        type: "PowerOff" as const,
        bootID: BOOT_ID,
        observedAt: "2026-11-22T00:00:00Z",
        detail: "Off",
      },
    },
  ]) {
    it(`and is ${status.phase} needs no attempt`, async () => {
      const { scene } = sceneWith();
      scene.fencing(status);
      expect(await fence(scene)).toMatchObject({ outcome: "unchanged" });
      expect(scene.api.seen).toEqual([]);
    });
  }

  it("while the device is asked still gets the proof, onto what they wrote", async () => {
    const { scene, device } = sceneWith();
    scene.fencing();
    device.after = (call) => {
      if (call !== "off") return;
      scene.api.objects.change(
        FENCING_PATH,
        (ledger) => (ledger.status = { ...ledger.status, message: "a person was here" }),
      );
    };
    expect(await fence(scene)).toEqual({ outcome: "done" });
    expect(scene.ledger).toMatchObject({
      phase: "Fenced",
      message: "a person was here",
      proof: { attempt: 1 },
    });
  });

  it("again and again is insisted on no more than five times", async () => {
    const { scene, device } = sceneWith();
    scene.fencing();
    device.after = (call) => {
      if (call !== "off") return;
      scene.api.intercept = ({ method }) => {
        if (method === "PATCH") scene.api.objects.change(FENCING_PATH, () => {});
        return undefined;
      };
    };
    expect(await fence(scene)).toMatchObject({ outcome: "conflict" });
    expect(scene.api.writes).toHaveLength(6);
    expect(scene.ledger.proof).toBeUndefined();
  });

  const TAKEN: readonly (readonly [string, Record<string, unknown>, string])[] = [
    ["a newer leader has written", { epoch: EPOCH + 1 }, "stale"],
    ["it was closed", { phase: "Aborted" }, "conflict"],
    ["the attempt is no longer on record", { attempts: [] }, "conflict"],
  ];
  for (const [what, change, outcome] of TAKEN) {
    it(`gets no proof when ${what}`, async () => {
      const { scene, device } = sceneWith();
      scene.fencing();
      device.after = (call) => {
        if (call !== "off") return;
        scene.api.objects.change(FENCING_PATH, (ledger) => (ledger.status = { ...ledger.status, ...change }));
      };
      expect((await fence(scene)).outcome).toBe(outcome);
      expect(scene.ledger.proof).toBeUndefined();
    });
  }

  it("gets its proof though the API server is away for a while", async () => {
    const { scene, device } = sceneWith();
    scene.fencing();
    let failures = 0;
    device.after = (call) => {
      if (call !== "off") return;
      scene.api.intercept = ({ path }) => {
        if (!path.startsWith(FENCING_PATH) || failures === 3) return undefined;
        failures += 1;
        return failing("unreachable");
      };
    };
    expect(await fence(scene)).toEqual({ outcome: "done" });
    expect(scene.ledger.proof).toBeDefined();
  });

  it("knows its own write again when only the answer was lost", async () => {
    const { scene, device } = sceneWith();
    scene.fencing();
    device.after = (call) => {
      if (call !== "off") return;
      scene.api.intercept = (request) => {
        if (request.line !== LEDGER_WRITE) return undefined;
        scene.api.intercept = () => undefined;
        scene.api.answer(request);
        return failing("timeout");
      };
    };
    expect(await fence(scene)).toEqual({ outcome: "done" });
    expect(scene.api.writes).toEqual([LEDGER_WRITE, LEDGER_WRITE]);
  });
});

describe("leadership that ends", () => {
  it("before the request stops it, and leaves the attempt open for the next leader", async () => {
    const { scene, device } = sceneWith();
    scene.fencing();
    device.after = () => {
      scene.leading = false;
    };
    expect(await fence(scene)).toMatchObject({ outcome: "stale" });
    expect(device.requests).toEqual([]);
    expect(scene.ledger.attempts).toMatchObject([{ outcome: "Started" }]);
  });

  it("while the node is looked at once more stops it as well", async () => {
    const { scene, device } = sceneWith();
    scene.fencing();
    scene.api.intercept = ({ path }) => {
      if (path === LEASE_PATH) scene.leading = false;
      return undefined;
    };
    expect(await fence(scene)).toMatchObject({ outcome: "stale" });
    expect(device.requests).toEqual([]);
  });

  it("between the two readings leaves no proof of ours", async () => {
    const { scene, device } = sceneWith((_scene, device) => (device.state = "Off"));
    scene.fencing();
    device.after = () => {
      if (device.seen.length === 2) scene.leading = false;
    };
    expect(await fence(scene)).toMatchObject({ outcome: "stale" });
    expect(scene.api.writes).toHaveLength(1);
  });

  it("by its signal ends the procedure at once", async () => {
    const { scene, device } = sceneWith();
    scene.fencing();
    device.after = () => {
      scene.leading = false;
      scene.leadership.abort();
    };
    expect(await fence(scene)).toMatchObject({ outcome: "stale" });
    expect(scene.clock.now().monotonicMs).toBeLessThan(1_000);
  });
});

describe("a look that may not power off", () => {
  it("at a machine that is on sends no request and writes nothing", async () => {
    const { scene, device } = sceneWith();
    scene.fencing();
    expect(await fence(scene, { mayPowerOff: false })).toMatchObject({ outcome: "unchanged" });
    expect(device.requests).toEqual([]);
    expect(scene.api.writes).toEqual([]);
  });

  it("at a machine that is off writes attempt and proof in one", async () => {
    const { scene } = sceneWith((_scene, device) => (device.state = "Off"));
    scene.fencing();
    expect(await fence(scene, { mayPowerOff: false })).toEqual({ outcome: "done" });
    expect(scene.api.writes).toEqual([LEDGER_WRITE]);
    expect(scene.ledger).toMatchObject({
      phase: "Fenced",
      attempts: [{ number: 1, outcome: "AlreadyOff", epoch: EPOCH }],
      proof: { attempt: 1 },
    });
  });

  it("closes an attempt that was left open, since nobody else would", async () => {
    const { scene } = sceneWith();
    scene.fencing({ phase: "Fencing", attempts: [OPEN] });
    expect(await fence(scene, { mayPowerOff: false })).toMatchObject({ outcome: "refused" });
    expect(scene.ledger.attempts).toMatchObject([{ number: 3, outcome: "Abandoned" }]);
  });

  it("does not believe Off of a node that was heard of a moment ago", async () => {
    const { scene } = sceneWith((_scene, device) => (device.state = "Off"));
    scene.renewLease({ noticed: true });
    scene.fencing();
    expect(await fence(scene, { mayPowerOff: false })).toMatchObject({ outcome: "unchanged" });
    expect(scene.ledger.proof).toBeUndefined();
  });

  it("that conflicts leaves the proof to the next look", async () => {
    const { scene } = sceneWith((_scene, device) => (device.state = "Off"));
    scene.fencing();
    const fencing = scene.fencingFact();
    scene.api.objects.change(FENCING_PATH, () => {});
    const step = { kind: "Fence", fencing, level: LEVEL, mayPowerOff: false } as const;
    expect(await scene.finish(performFence(step, scene.context()))).toMatchObject({ outcome: "conflict" });
  });
});
describe("a living node that somebody asked to have fenced", () => {
  /** Its kubelet renews until the machine is off, or all the time where the device is another machine's. */
  function living(options: { readonly wrongMachine?: boolean } = {}) {
    const { scene, device } = sceneWith();
    scene.fencing();
    scene.leaseChangedAtMs = scene.clock.now().monotonicMs;
    let off = false;
    const beat = (): void => {
      if (off && options.wrongMachine !== true) return;
      scene.renewLease({ noticed: true });
      scene.clock.schedule(1_000, beat);
    };
    device.after = (call) => {
      if (call === "off") off = true;
    };
    scene.clock.schedule(1_000, beat);
    const fencing = { ...scene.fencingFact(), requested: true as const };
    const step = { kind: "Fence", fencing, level: LEVEL, mayPowerOff: true } as const;
    return { scene, device, perform: () => scene.finish(performFence(step, scene.context())) };
  }

  it("is shot although it is heard, and proven off once it has fallen silent", async () => {
    const { scene, device, perform } = living();
    expect(await perform()).toEqual({ outcome: "done" });
    expect(device.requests).toEqual(["off"]);
    expect(scene.ledger.proof).toMatchObject({ type: "PowerOff", bootID: BOOT_ID });
  });

  it("is not proven off while its Lease is renewed on: the device is another machine's", async () => {
    const { scene, perform } = living({ wrongMachine: true });
    expect(await perform()).toMatchObject({ outcome: "refused" });
    expect(scene.ledger.proof).toBeUndefined();
    expect(scene.ledger.attempts).toMatchObject([{ outcome: "Abandoned", powerState: "Off" }]);
  });

  it("is spared when another boot ID or another node is there", async () => {
    const { scene, device, perform } = living();
    scene.reboot();
    expect(await perform()).toMatchObject({ outcome: "refused" });
    expect(device.requests).toEqual([]);
    expect(scene.ledger.attempts).toMatchObject([{ answer: expect.stringContaining("boot-2") }]);
  });
});
