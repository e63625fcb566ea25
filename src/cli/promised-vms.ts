// Which VMs a command means (by name or by labels), and which promises already stand for each.
import { z } from "zod";
import type { ApiTransport } from "../kube/transport.ts";
import { selectorMatches } from "../model/label-selector.ts";
import type { CommandContext } from "./command-context.ts";
import { EXIT, type ExitCode } from "./exit-codes.ts";
import { failureText, listAll, ownPath } from "./objects.ts";
import { parseSelector } from "./selector-text.ts";

/** Label on HAVirtualMachines that a policy had made. */
const POLICY_LABEL = "holdfast.dev/policy";

const named = z.object({
  metadata: z.object({
    name: z.string(),
    namespace: z.string().default(""),
    uid: z.string(),
    labels: z.record(z.string(), z.string()).optional(),
  }),
});
const promiseObject = named.extend({ spec: z.object({ virtualMachineName: z.string() }) });

export interface PromisedVM {
  readonly key: string;
  readonly namespace: string;
  readonly name: string;
  readonly promises: readonly {
    readonly name: string;
    readonly uid: string;
    /** The policy that had it made. */
    readonly policy: string | undefined;
  }[];
}

export type Choice =
  | { readonly ok: true; readonly transport: ApiTransport; readonly vms: readonly PromisedVM[] }
  | { readonly ok: false; readonly message: string; readonly code: ExitCode };

/** Reads the VMs that the command line means, by name. Errors: nothing or too much asked for, or none there. */
export async function chooseVMs(
  context: CommandContext,
  { everywhere = false }: { readonly everywhere?: boolean } = {},
): Promise<Choice> {
  const { words } = context;
  const text = context.value("selector");
  if (words.length > 0 === (text !== undefined))
    return refused("name VMs, or select them with -l LABELS; not both, not neither", EXIT.usage);
  const selector = parseSelector(text ?? "");
  if (!selector.ok) return refused(selector.message, EXIT.usage);
  const connection = context.connect();
  if (!connection.ok) return refused(connection.message, EXIT.failed);
  const { transport } = connection.value;
  const namespace =
    everywhere || context.has("all-namespaces") ? undefined : context.namespaceOf(connection.value);
  const within = namespace === undefined ? "" : `/namespaces/${encodeURIComponent(namespace)}`;
  const listed = await listAll<unknown>(transport, `/apis/kubevirt.io/v1${within}/virtualmachines`);
  if (!listed.ok) return refused(failureText("list VirtualMachines", listed), EXIT.failed);
  const promises = await listAll<unknown>(
    transport,
    ownPath("havirtualmachines", namespace === undefined ? {} : { namespace }),
  );
  if (!promises.ok) return refused(failureText("list HAVirtualMachines", promises), EXIT.failed);
  const all = listed.value.flatMap((raw) => named.safeParse(raw).data ?? []);
  const chosen = all.filter(({ metadata }) =>
    text === undefined
      ? words.includes(metadata.name)
      : selectorMatches(selector.value, metadata.labels ?? {}),
  );
  const where = namespace === undefined ? "in any namespace" : `in namespace ${namespace}`;
  const missing = words.filter((name) => !chosen.some(({ metadata }) => metadata.name === name));
  if (missing.length > 0)
    return refused(`there is no VirtualMachine ${missing.join(", ")} ${where}`, EXIT.notFound);
  if (chosen.length === 0)
    return refused(`no VirtualMachine ${where} has the labels ${text ?? ""}`, EXIT.notFound);
  return { ok: true, transport, vms: withPromises(chosen, promises.value) };
}

function refused(message: string, code: ExitCode): Choice {
  return { ok: false, message, code };
}

function withPromises(
  chosen: readonly z.output<typeof named>[],
  promises: readonly unknown[],
): readonly PromisedVM[] {
  const byVM = Map.groupBy(
    promises.flatMap((raw) => promiseObject.safeParse(raw).data ?? []),
    ({ metadata, spec }) => `${metadata.namespace}/${spec.virtualMachineName}`,
  );
  return chosen.map(({ metadata: { namespace, name } }) => ({
    key: `${namespace}/${name}`,
    namespace,
    name,
    promises: (byVM.get(`${namespace}/${name}`) ?? []).map(({ metadata }) => ({
      name: metadata.name,
      uid: metadata.uid,
      policy: metadata.labels?.[POLICY_LABEL],
    })),
  }));
}
