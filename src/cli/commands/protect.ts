// `protect` and `unprotect`: make and withdraw promises, for the VMs that are there, or by a policy for later ones, too.
import { API_VERSION } from "../../api/kind.ts";
import type { CommandContext } from "../command-context.ts";
import type { Argument, Command } from "../command.ts";
import type { Flag } from "../flag.ts";
import { unconfirmed } from "../confirmation.ts";
import { EXIT, type ExitCode } from "../exit-codes.ts";
import { create, failureText, ownPath } from "../objects.ts";
import { type Choice, chooseVMs, type PromisedVM } from "../promised-vms.ts";
import { parseSelector } from "../selector-text.ts";
import { counted, table } from "../terminal.ts";

const CHOICE_FLAGS: readonly Flag[] = [
  { name: "selector", short: "l", value: "LABELS", help: "The VMs with these labels." },
  { name: "all-namespaces", short: "A", help: "In every namespace." },
  { name: "dry-run", help: "Show what would be done; do nothing." },
];

const NAME: Argument = {
  name: "NAME...",
  help: "Names of VirtualMachines; or none, and -l.",
  optional: true,
  completes: () => "vms",
};

export const protect: Command = {
  name: "protect",
  summary: "Promise the availability of VMs: by name, by labels, or by a policy for later ones, too.",
  about: [
    "Makes an HAVirtualMachine for each VM named or selected that has none. Like kubectl label, it acts on the VMs that are there now.",
    "With --policy=NAME it makes one HAVirtualMachinePolicy instead, which also takes care of VMs that come later, in all namespaces.",
    "A promise changes nothing at once: it says that the VM is moved off cordoned nodes, and restarted elsewhere after its node is lost. `kubectl holdfast explain vm NAME` then says whether that could be kept.",
  ],
  args: [NAME],
  flags: [
    ...CHOICE_FLAGS,
    { name: "policy", value: "NAME", help: "Make an HAVirtualMachinePolicy of that name from -l." },
    { name: "priority", value: "NUMBER", help: "0 to 1000: the higher comes back first. Default: 500." },
  ],
  examples: [
    ["kubectl holdfast protect db-0 -n shop --priority=900", "one VM, ahead of others"],
    ["kubectl holdfast protect -l tier=prod -A --dry-run", "which VMs would it be?"],
    ["kubectl holdfast protect -l holdfast.dev/protect=true --policy=labelled", "these and all later ones"],
  ],
  exits: ["0  promised, or so already", "5  no such VM"],
  run: async (context) => {
    const priority = Number(context.value("priority") ?? "500");
    if (!Number.isInteger(priority) || priority < 0 || priority > 1000) {
      const found = context.value("priority") ?? "";
      return context.fail(`--priority: found ${found}; allowed: a whole number from 0 to 1000`, EXIT.usage);
    }
    if (context.value("policy") !== undefined) return makePolicy(context, priority);
    const choice = await chooseVMs(context);
    return choice.ok ? protectAll(context, choice, priority) : context.fail(choice.message, choice.code);
  },
};

export const unprotect: Command = {
  name: "unprotect",
  summary: "Withdraw promises: the VMs are left to themselves when their node is lost.",
  about: [
    "Deletes the HAVirtualMachines of the VMs named or selected, after asking. Running VMs are not touched.",
    "An HAVirtualMachine that a policy had made would only be made again, so it is left and the policy is named; --policy=NAME deletes that policy, and with it the promises it made.",
  ],
  args: [NAME],
  flags: [
    ...CHOICE_FLAGS,
    { name: "policy", value: "NAME", help: "Delete the HAVirtualMachinePolicy of that name." },
    { name: "yes", short: "y", help: "Confirmed beforehand; for scripts." },
  ],
  examples: [
    ["kubectl holdfast unprotect db-0 -n shop", "one VM"],
    ["kubectl holdfast unprotect -l tier=test -A --yes", "all of them, unasked"],
    ["kubectl holdfast unprotect --policy=labelled", "the policy, and what it made"],
  ],
  exits: ["0  withdrawn, or nothing to withdraw", "4  not confirmed", "5  no such VM or policy"],
  run: async (context) => {
    if (context.value("policy") !== undefined) return removePolicy(context);
    const choice = await chooseVMs(context);
    return choice.ok ? unprotectAll(context, choice) : context.fail(choice.message, choice.code);
  },
};

type Row = readonly [vm: string, what: string];

function tell(context: CommandContext, rows: readonly Row[], summary: string): void {
  const dryRun = context.has("dry-run");
  if (context.json) {
    context.printJson({ dryRun, vms: rows.map(([vm, what]) => ({ vm, what })) });
    return;
  }
  if (rows.length > 0) context.print(table(context.paint, ["VM", dryRun ? "would be" : "is"], rows));
  context.print(`${dryRun ? "Dry run: nothing was changed. " : ""}${summary}\n`);
}

async function protectAll(
  context: CommandContext,
  { transport, vms }: Extract<Choice, { ok: true }>,
  priority: number,
): Promise<ExitCode> {
  const rows: Row[] = [];
  let made = 0;
  for (const vm of vms) {
    if (vm.promises.length > 0) {
      rows.push([
        vm.key,
        `promised already by HAVirtualMachine ${vm.promises.map(({ name }) => name).join(", ")}`,
      ]);
      continue;
    }
    if (!context.has("dry-run")) {
      const outcome = await create(transport, ownPath("havirtualmachines", { namespace: vm.namespace }), {
        apiVersion: API_VERSION,
        kind: "HAVirtualMachine",
        metadata: { name: vm.name, namespace: vm.namespace },
        spec: { virtualMachineName: vm.name, priority },
      });
      if (!outcome.ok) return context.fail(failureText(`make HAVirtualMachine ${vm.key}`, outcome));
    }
    made += 1;
    rows.push([vm.key, `promised, priority ${priority}`]);
  }
  tell(context, rows, `${counted(made, "promise")} made, ${vms.length - made} stood already.`);
  return EXIT.ok;
}

async function unprotectAll(
  context: CommandContext,
  { transport, vms }: Extract<Choice, { ok: true }>,
): Promise<ExitCode> {
  const own = vms.flatMap((vm) =>
    vm.promises.filter(({ policy }) => policy === undefined).map((promise) => ({ vm, promise })),
  );
  if (!context.has("dry-run") && own.length > 0) {
    const refusal = await unconfirmed(
      context,
      "yes",
      `Withdraw ${counted(own.length, "promise")} (${own
        .slice(0, 5)
        .map(({ vm }) => vm.key)
        .join(", ")}${own.length > 5 ? ", …" : ""})? Type yes:`,
    );
    if (refusal !== undefined) return context.fail(refusal, EXIT.declined);
    for (const { vm, promise } of own) {
      const path = ownPath("havirtualmachines", { namespace: vm.namespace, name: promise.name });
      const body = { preconditions: { uid: promise.uid } };
      const gone = await transport.request({ method: "DELETE", path, body });
      if (!gone.ok && gone.kind !== "notFound") return context.fail(failureText(`delete ${path}`, gone));
    }
  }
  tell(
    context,
    vms.map((vm): Row => [vm.key, withdrawal(vm)]),
    `${counted(own.length, "promise")} withdrawn.`,
  );
  return EXIT.ok;
}

function withdrawal({ promises }: PromisedVM): string {
  if (promises.length === 0) return "without a promise already";
  const policies = promises.flatMap(({ policy }) => (policy === undefined ? [] : [policy]));
  return policies.length === 0
    ? "left to itself"
    : `still promised by HAVirtualMachinePolicy ${policies.join(", ")}: change its labels, or the policy`;
}

async function makePolicy(context: CommandContext, priority: number): Promise<ExitCode> {
  const name = context.value("policy") ?? "";
  const text = context.value("selector");
  if (text === undefined || context.words.length > 0)
    return context.fail("--policy takes -l LABELS and no names: a policy selects by labels", EXIT.usage);
  const selector = parseSelector(text);
  if (!selector.ok) return context.fail(selector.message, EXIT.usage);
  const choice = await chooseVMs(context, { everywhere: true });
  if (!choice.ok && choice.code !== EXIT.notFound) return context.fail(choice.message, choice.code);
  const connection = context.connect();
  if (!connection.ok) return context.fail(connection.message);
  const policy = {
    apiVersion: API_VERSION,
    kind: "HAVirtualMachinePolicy",
    metadata: { name },
    spec: { selector: selector.value, template: { priority } },
  };
  if (!context.has("dry-run")) {
    const made = await create(connection.value.transport, ownPath("havirtualmachinepolicies"), policy);
    if (!made.ok) return context.fail(failureText(`make HAVirtualMachinePolicy ${name}`, made));
  }
  const vms = choice.ok ? choice.vms : [];
  const rows = vms.map(
    (vm): Row => [vm.key, vm.promises.length > 0 ? "promised already" : `promised by ${name}`],
  );
  tell(context, rows, `HAVirtualMachinePolicy ${name} selects ${counted(vms.length, "VM")} now.`);
  return EXIT.ok;
}

async function removePolicy(context: CommandContext): Promise<ExitCode> {
  const name = context.value("policy") ?? "";
  const connection = context.connect();
  if (!connection.ok) return context.fail(connection.message);
  const { transport } = connection.value;
  const path = ownPath("havirtualmachinepolicies", { name });
  const read = await transport.request<{ readonly status?: { readonly selected?: number } }>({
    method: "GET",
    path,
  });
  if (!read.ok)
    return context.fail(
      failureText(`read HAVirtualMachinePolicy ${name}`, read),
      read.kind === "notFound" ? EXIT.notFound : EXIT.failed,
    );
  const selected = read.value.status?.selected ?? 0;
  if (!context.has("dry-run")) {
    const refusal = await unconfirmed(
      context,
      name,
      `The policy selects ${counted(selected, "VM")}, whose promises end with it. Type its name to delete it:`,
    );
    if (refusal !== undefined) return context.fail(refusal, EXIT.declined);
    const gone = await transport.request({ method: "DELETE", path });
    if (!gone.ok) return context.fail(failureText(`delete HAVirtualMachinePolicy ${name}`, gone));
  }
  tell(context, [], `HAVirtualMachinePolicy ${name} deleted; it selected ${counted(selected, "VM")}.`);
  return EXIT.ok;
}
