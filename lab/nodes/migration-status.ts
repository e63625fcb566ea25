// virt-handler's writes during a live migration, source and target side. Pure: each returns a changed copy, or undefined where nothing is to be written.
import type { Launcher } from "./launcher.ts";
import type { MigrationMetadata } from "./launcher-migration.ts";
import { timestamp } from "./objects.ts";
import {
  EVICTION_SOURCE_ANNOTATION,
  isMigrationDone,
  type MigrationState,
  NODE_NAME_LABEL,
  OUTDATED_LAUNCHER_LABEL,
  TARGET_NODE_LABEL,
  type Vmi,
} from "./vmi.ts";
import { plainCopy } from "../plain-data.ts";

/** Port map in virt-handler's form (host port → QEMU port); only the source's virt-handler reads it. */
const MIGRATION_PORTS = { "49152": 49152, "49153": 49153 };

/** Source: reports how libvirt's migration stands. */
export function withSourceProgress(vmi: Vmi, metadata: MigrationMetadata): Vmi | undefined {
  return change(vmi, (state) => {
    if (metadata.uid !== state.migrationUid || isMigrationDone(state)) return;
    state.startTimestamp ??= metadata.startTimestamp;
    state.mode = metadata.mode;
    if (!metadata.failed || metadata.endTimestamp === undefined) return;
    state.failed = true;
    state.completed = true;
    state.endTimestamp = metadata.endTimestamp;
    if (metadata.failureReason !== undefined) state.failureReason = metadata.failureReason;
    if (metadata.abortStatus !== undefined) state.abortStatus = metadata.abortStatus;
  });
}

/** Target: where the source shall connect to. */
export function withTargetAddress(vmi: Vmi, address: string): Vmi | undefined {
  return change(vmi, (state) => {
    state.targetNodeAddress = address;
    state.targetDirectMigrationNodePorts = MIGRATION_PORTS;
    if (state.targetState) {
      state.targetState.nodeAddress = address;
      state.targetState.directMigrationNodePorts = MIGRATION_PORTS;
    }
  });
}

/** Target: what it sees of the incoming domain, and once it runs here, that this node owns the VMI now. */
export function withTargetProgress(vmi: Vmi, nodeName: string, launcher: Launcher): Vmi | undefined {
  const metadata = launcher.incoming?.metadata;
  const running = launcher.domain === "running";
  return change(vmi, (state, draft) => {
    if (!metadata || metadata.uid !== state.migrationUid) return;
    if (!state.targetNodeDomainDetected) {
      state.targetNodeDomainDetected = true;
      if (state.targetState) state.targetState.domainDetected = true;
    }
    if (!running) return;
    if (state.targetNodeDomainReadyTimestamp === undefined) {
      state.targetNodeDomainReadyTimestamp = timestamp();
      if (state.targetState) state.targetState.domainReadyTimestamp = state.targetNodeDomainReadyTimestamp;
    }
    if (metadata.endTimestamp === undefined || state.endTimestamp !== undefined) return;
    state.startTimestamp ??= metadata.startTimestamp;
    state.endTimestamp = metadata.endTimestamp;
    acknowledge(draft, nodeName);
  });
}

function acknowledge(vmi: Vmi, nodeName: string): void {
  const { metadata, status } = vmi;
  metadata.labels = { ...metadata.labels, [NODE_NAME_LABEL]: nodeName };
  delete metadata.labels[OUTDATED_LAUNCHER_LABEL];
  if (metadata.annotations) delete metadata.annotations[EVICTION_SOURCE_ANNOTATION];
  if (!status) return;
  status.nodeName = nodeName;
  status.migrationTransport = "Unix";
  delete status.evacuationNodeName;
  delete status.launcherContainerImageVersion;
}

/** Target: the handover is over. */
export function withCompletion(vmi: Vmi): Vmi | undefined {
  return change(vmi, (state) => {
    state.completed = true;
  });
}

/** Target: takes the VMI off its list. */
export function withoutTargetLabel(vmi: Vmi): Vmi | undefined {
  return change(vmi, (_state, draft) => {
    delete draft.metadata.labels?.[TARGET_NODE_LABEL];
  });
}

function change(vmi: Vmi, edit: (state: MigrationState, draft: Vmi) => void): Vmi | undefined {
  const draft = plainCopy(vmi);
  const state = draft.status?.migrationState;
  if (!state) return undefined;
  edit(state, draft);
  return JSON.stringify(draft) === JSON.stringify(vmi) ? undefined : draft;
}
