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
  "Covered",
  "CoversNoNode",
  "Selected",
  "SelectsNothing",
  "WithinBudget",
  "BudgetLow",
  "BudgetSpent",
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
] as const;
export type EventReason = (typeof EVENT_REASONS)[number];

export const REFUSAL_REASONS = [
  "NoFencingTopology",
  "BootIDUnknown",
  "TooManyFencings",
  "StormHold",
  "NodeIsolated",
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
