// What virt-api answers where: the paths of its webhooks and its verbs. Knows no server, so that a simulation can call them, too.
import { ALLOWED } from "./admission.ts";
import { admitEviction } from "./eviction-webhook.ts";
import {
  cancelEvacuation,
  migrateVm,
  restartVm,
  startVm,
  stopVm,
  type SubresourceAnswer,
  type SubresourceCall,
} from "./subresources.ts";
import {
  mutateMigration,
  mutateVm,
  mutateVmi,
  validateMigrationCreate,
  validateMigrationUpdate,
  validateVm,
  validateVmiUpdate,
  type Webhook,
} from "./webhooks.ts";

/** Admission webhooks by the path they are called at. */
export const WEBHOOKS: Readonly<Record<string, Webhook>> = {
  "/virtualmachines-mutate": mutateVm,
  "/virtualmachines-validate": validateVm,
  "/virtualmachineinstances-mutate": mutateVmi,
  "/virtualmachineinstances-validate-create": () => ALLOWED,
  "/virtualmachineinstances-validate-update": validateVmiUpdate,
  "/migration-mutate-create": mutateMigration,
  "/migration-validate-create": validateMigrationCreate,
  "/migration-validate-update": validateMigrationUpdate,
  "/pod-eviction-validate": admitEviction,
  "/status-validate": () => ALLOWED,
};

type Subresource = (call: SubresourceCall) => Promise<SubresourceAnswer>;

/** Verbs on VMs and VMIs by `RESOURCE/VERB`. */
export const SUBRESOURCES: Readonly<Record<string, Subresource>> = {
  "virtualmachines/start": startVm,
  "virtualmachines/stop": stopVm,
  "virtualmachines/restart": restartVm,
  "virtualmachines/migrate": migrateVm,
  "virtualmachines/evacuate/cancel": cancelEvacuation,
  "virtualmachineinstances/evacuate/cancel": cancelEvacuation,
};
