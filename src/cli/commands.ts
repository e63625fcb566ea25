// Every command of the plugin, in the order in which help lists them.
import type { Command } from "./command.ts";
import { completion } from "./commands/completion.ts";
import { confirmOff } from "./commands/confirm-off.ts";
import { arm, disarm } from "./commands/disarm.ts";
import { drill, drills } from "./commands/drill.ts";
import { explain } from "./commands/explain.ts";
import { fence } from "./commands/fence.ts";
import { protect, unprotect } from "./commands/protect.ts";
import { report } from "./commands/report.ts";
import { simulate } from "./commands/simulate.ts";
import { status } from "./commands/status.ts";
import { version } from "./commands/version.ts";

export const COMMANDS: readonly Command[] = [
  status,
  explain,
  simulate,
  report,
  protect,
  unprotect,
  fence,
  confirmOff,
  disarm,
  arm,
  drill,
  drills,
  completion,
  version,
];
