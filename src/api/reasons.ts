// Every reason that Holdfast gives, in one place: condition reasons, Event reasons and refusals. docs/reasons.md explains
// each; a test compares both directions.

export const CONDITION_REASONS = [
  "Accepted",
  "VirtualMachineNotFound",
  "DuplicateProtection",
  "DependencyNotFound",
  "DependencyCycle",
  "Protected",
  "FailoverDisabled",
  "NoFencingTopology",
  "NotRestartable",
  "NotRunning",
  "RestartLimitReached",
  "Running",
  "NodeLost",
  "NodeIsolated",
  "Restarting",
  "NotReady",
  "Paused",
  "Stopped",
  "NodeAvailable",
  "NoCandidateNode",
  "RunStrategyForbids",
  "Migratable",
  "NotMigratable",
  "Unknown",
  "NodeNotFenceable",
  "Covered",
  "CoversNoNode",
  "FencingReady",
  "FencingNotReady",
  "FencingUnchecked",
  "Selected",
  "SelectsNothing",
  "WithinBudget",
  "BudgetLow",
  "BudgetSpent",
  "FencingDisarmed",
  "Active",
  "Expired",
] as const;
export type ConditionReason = (typeof CONDITION_REASONS)[number];

export const EVENT_REASONS = [
  "NodeLost",
  "NodeFenced",
  "NodeReturned",
  "FencingAborted",
  "FencingFailed",
  "ConfirmationRefused",
  "MigrationStarted",
  "MigrationAborted",
  "EvacuationRefused",
  "FailoverBlocked",
  "RestartedForEvacuation",
  "ProtectionCreated",
  "FencingDisarmed",
  "FencingRearmed",
  "FencingHeld",
  "NodeQuarantined",
  "QuarantineLifted",
] as const;
export type EventReason = (typeof EVENT_REASONS)[number];

export const REFUSAL_REASONS = [
  "NoFencingTopology",
  "BootIDUnknown",
  "TooManyFencings",
  "StormHold",
  "FencingDisarmed",
  "NodeIsolated",
  "NodeDegraded",
  "FencingRateReached",
  "Quarantined",
  "SilenceCountedAnew",
  "ContactLost",
  "APIServerAway",
  "LastHealthyNode",
  "LeaderBlind",
  "ProofContradicted",
  "ConfirmationRefused",
  "WaitingForReturn",
  "FailoverDisabled",
  "RestartLimitReached",
  "WaitingForMigrationTarget",
  "WaitingForDependency",
  "WaitingForMigrationSlot",
  "NotMigratable",
] as const;
export type RefusalReason = (typeof REFUSAL_REASONS)[number];

/** On a Node, in the condition of each fencing level: what the last harmless check of its device found. */
export const READINESS_REASONS = [
  "DeviceReady",
  "DeviceUnreachable",
  "DeviceTimeout",
  "DeviceBusy",
  "DeviceFaulty",
  "DeviceUntrusted",
  "DeviceDenied",
  "Misconfigured",
  "WrongMachine",
  "PowerStateContradicted",
  "PowerStateMixed",
  "PowerStateUnknown",
  "CannotPowerOff",
] as const;
export type ReadinessReason = (typeof READINESS_REASONS)[number];

/** Events about a Node whose readiness has changed; checks give them, since no turn knows of a check. */
export type ReadinessEventReason = "FencingReady" | "FencingNotReady";
