// Many nodes in a fake API server, each with a device, and the rounds of readiness checks over them.
import type { ActContext } from "../../src/act/context.ts";
import type { DeviceAccess } from "../../src/act/device-access.ts";
import { ReadinessRounds, type ReadinessTarget } from "../../src/act/readiness/readiness-rounds.ts";
import { SecretShelf } from "../../src/act/readiness/secret-shelf.ts";
import { readReadiness } from "../../src/api/fencing-readiness.ts";
import type { FencingLevel } from "../../src/model/fencing.ts";
import type { LevelReadiness } from "../../src/model/fencing-readiness.ts";
import type { NodeFact } from "../../src/model/node.ts";
import { ActScene, EPOCH, LEVEL, SECRET_PATH } from "./act-fixture.ts";
import { FakeDevice, IDENTITY } from "./fake-device.ts";

export const INTERVAL_MS = 300_000;

interface RawNode {
  readonly metadata: { readonly uid: string };
  readonly status: { readonly conditions?: readonly Record<string, string>[] };
}

export class ReadinessScene {
  readonly scene = new ActScene();
  readonly devices = new Map<string, FakeDevice>();
  readonly levels: FencingLevel[] = [LEVEL];
  readonly targets = new Map<string, ReadinessTarget>();
  /** Passwords that devices were opened with, in order. */
  readonly passwords: string[] = [];
  /** When each node was last surely alive; now, unless said. */
  readonly livedUntilMs = new Map<string, number>();
  maxConcurrent = 8;
  generation = 1;
  random: () => number = () => 0.5;
  /** Most devices that were read at once. */
  busiest = 0;
  #busy = 0;

  constructor(nodes: number) {
    for (let i = 1; i <= nodes; i++) this.addNode(`node-${i}`);
  }

  addNode(name: string, conditions: readonly object[] = []): void {
    this.scene.api.objects.seed(`/api/v1/nodes/${name}`, {
      metadata: { uid: `uid-${name}` },
      status: { nodeInfo: { bootID: "b", systemUUID: IDENTITY.uuid }, conditions },
    });
    const device = new FakeDevice(this.scene.clock);
    device.before = () => {
      this.#busy += 1;
      this.busiest = Math.max(this.busiest, this.#busy);
    };
    device.after = () => {
      this.#busy -= 1;
    };
    this.devices.set(name, device);
    this.targets.set(name, this.#target(name));
  }

  /** The rounds of a new leader; earlier ones are left to themselves. */
  rounds(epoch = EPOCH): ReadinessRounds {
    for (const name of this.targets.keys()) this.targets.set(name, this.#target(name));
    const rounds = new ReadinessRounds(this.#context(epoch), {
      intervalMs: INTERVAL_MS,
      maxConcurrent: this.maxConcurrent,
      targets: () => this.targets,
      secrets: new SecretShelf((namespace, name) =>
        this.#revision(`/api/v1/namespaces/${namespace}/secrets/${name}`),
      ),
    });
    rounds.start();
    return rounds;
  }

  /** Every node is seen as it stands now. */
  refreshTargets(): void {
    for (const name of this.targets.keys()) this.targets.set(name, this.#target(name));
  }

  async pass(ms: number): Promise<void> {
    for (let passedMs = 0; passedMs < ms; passedMs += 500) {
      this.refreshTargets();
      await this.scene.clock.advance(500);
    }
    this.refreshTargets();
  }

  standing(name: string): readonly LevelReadiness[] {
    const node = this.scene.api.objects.peek(`/api/v1/nodes/${name}`) as unknown as RawNode;
    return readReadiness(node.status.conditions as Parameters<typeof readReadiness>[0]);
  }

  device(name: string): FakeDevice {
    const device = this.devices.get(name);
    if (device === undefined) throw new Error(`no device of ${name}`);
    return device;
  }

  reads(name: string): number {
    return this.device(name).seen.filter(({ call }) => call === "read").length;
  }

  get statusWrites(): readonly string[] {
    return this.scene.api.writes.filter((line) => line.endsWith("/status"));
  }

  get events(): readonly { readonly reason: string; readonly message: string }[] {
    return this.scene.api.seen
      .filter(({ method, path }) => method === "POST" && path.endsWith("/events"))
      .map(({ body }) => body as { reason: string; message: string });
  }

  get secretReads(): number {
    return this.scene.api.seen.filter(({ method, path }) => method === "GET" && path === SECRET_PATH).length;
  }

  #revision(path: string): string | undefined {
    return this.scene.api.objects.peek(path)?.metadata.resourceVersion;
  }

  #context(epoch: number): ActContext {
    return {
      ...this.scene.context(epoch),
      random: () => this.random(),
      openDevice: (access: DeviceAccess) => {
        if (access.method !== "Redfish") throw new Error("only Redfish here");
        this.passwords.push(access.redfish.password);
        const name = /bmc-(.+)\.example\.com/.exec(access.redfish.address)?.[1] ?? "";
        return this.device(name);
      },
    };
  }

  #target(name: string): ReadinessTarget {
    const fencing = this.standing(name);
    const node: NodeFact = {
      name,
      uid: `uid-${name}`,
      bootID: "b",
      ready: "True",
      systemUUID: IDENTITY.uuid ?? "",
      placement: { labels: {}, taints: [], unschedulable: false, ready: true },
      placementChangedAtMs: 0,
      annotations: {},
      heartbeat: { value: "", changedAtMs: 0 },
      ...(fencing.length === 0 ? {} : { fencing }),
    };
    return {
      node,
      levels: this.levels,
      rule: `${node.uid}/${this.generation}`,
      livedAfter: (atMs) => (this.livedUntilMs.get(name) ?? this.scene.clock.now().monotonicMs) > atMs,
    };
  }
}
