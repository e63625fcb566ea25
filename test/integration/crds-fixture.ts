// A real API server with our CRDs on it, and the real kubectl, for the tests of one file.
import { execFile } from "node:child_process";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { beforeAll } from "vitest";
import { findAssetFolder } from "../../lab/control-plane/asset-folders.ts";
import { KINDS } from "../../src/api/generate.ts";
import { collectionPath, type KindDefinition } from "../../src/api/kind.ts";
import type { ApiOutcome } from "../../src/kube/transport.ts";
import type { Manifest } from "../api/bad-inputs.ts";
import { useControlPlane } from "./control-plane-fixture.ts";

const ROOT = join(import.meta.dirname, "../..");
const KUBECTL_DEADLINE_MS = 60_000;
const ESTABLISHED_DEADLINE_MS = 20_000;

interface Stored {
  readonly metadata: { readonly name: string; readonly resourceVersion: string };
  readonly spec: Readonly<Record<string, unknown>>;
  readonly status?: Readonly<Record<string, unknown>>;
}

export interface CrdsCluster {
  /** Runs kubectl in the repository's root as cluster administrator; throws with its words when it fails. */
  kubectl(...args: readonly string[]): Promise<string>;
  /** Asks the server to create the object, without keeping it. Unknown fields are refused, as kubectl has it. */
  tryCreate(manifest: Manifest): Promise<ApiOutcome<Stored>>;
  create(manifest: Manifest): Promise<ApiOutcome<Stored>>;
  /** Merges `change` into the object, or into its status only. */
  patch(manifest: Manifest, change: object, subresource?: "status"): Promise<ApiOutcome<Stored>>;
  /** Replaces the status by server-side apply, as the operator does. */
  applyStatus(manifest: Manifest, status: object): Promise<ApiOutcome<Stored>>;
  remove(manifest: Manifest): Promise<void>;
  get<T>(path: string): Promise<T>;
}

export function kindOf(manifest: Pick<Manifest, "kind">): KindDefinition {
  const kind = KINDS.find((one) => one.kind === manifest.kind);
  if (kind === undefined) throw new Error(`no kind ${manifest.kind}`);
  return kind;
}

/** Starts a control plane for the file and applies crds/ with kubectl, as an administrator would. */
export function useCrds(): CrdsCluster {
  const controlPlane = useControlPlane({ controllers: false });
  const collection = (manifest: Manifest) => collectionPath(kindOf(manifest), manifest.metadata.namespace);
  const object = (manifest: Manifest) => `${collection(manifest)}/${manifest.metadata.name}`;
  const create = (manifest: Manifest, dryRun?: "All") =>
    controlPlane().admin.request<Stored>({
      method: "POST",
      path: collection(manifest),
      query: { dryRun, fieldValidation: "Strict" },
      body: manifest,
    });

  const cluster: CrdsCluster = {
    kubectl: async (...args) => {
      const folder = findAssetFolder(process.env)?.directory ?? "";
      const { stdout } = await promisify(execFile)(join(folder, "kubectl"), args, {
        cwd: ROOT,
        env: { ...process.env, KUBECONFIG: controlPlane().kubeconfigPath },
        timeout: KUBECTL_DEADLINE_MS,
      });
      return stdout;
    },
    tryCreate: (manifest) => create(manifest, "All"),
    create: (manifest) => create(manifest),
    patch: (manifest, change, subresource) =>
      controlPlane().admin.request({
        method: "PATCH",
        path: subresource === undefined ? object(manifest) : `${object(manifest)}/${subresource}`,
        contentType: "application/merge-patch+json",
        body: change,
      }),
    applyStatus: ({ spec: _spec, ...manifest }, status) =>
      controlPlane().admin.request({
        method: "PATCH",
        path: `${object({ ...manifest, spec: {} })}/status`,
        query: { fieldManager: "holdfast", force: true },
        contentType: "application/apply-patch+yaml",
        body: { ...manifest, status },
      }),
    remove: async (manifest) => {
      await controlPlane().admin.request({ method: "DELETE", path: object(manifest) });
    },
    get: async <T>(path: string) => {
      const outcome = await controlPlane().admin.request<T>({ method: "GET", path });
      if (!outcome.ok) throw new Error(`${path}: ${outcome.message}`);
      return outcome.value;
    },
  };

  beforeAll(async () => {
    await cluster.kubectl("apply", "--filename", "crds");
    const names = KINDS.map((kind) => `crd/${kind.plural}.holdfast.dev`);
    await cluster.kubectl(
      "wait",
      "--for=condition=Established",
      `--timeout=${ESTABLISHED_DEADLINE_MS}ms`,
      ...names,
    );
    // Established comes a moment before every kind is served.
    await Promise.all(KINDS.map((kind) => untilServed(cluster, kind)));
  });
  return cluster;
}

async function untilServed(cluster: CrdsCluster, kind: KindDefinition): Promise<void> {
  const signal = AbortSignal.timeout(ESTABLISHED_DEADLINE_MS);
  for (;;) {
    const served = await cluster.get(collectionPath(kind)).then(
      () => true,
      () => false,
    );
    if (served) return;
    signal.throwIfAborted();
    await sleep(50);
  }
}
