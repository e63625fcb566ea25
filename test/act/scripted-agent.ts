// A fence agent of our own making: a real program that is run as any agent is, obeys a switch in a file, and has the
// troubles that real agents were seen to have. Its folder holds what it was told and in what environment.
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** One trouble at a time; what each does stands in the program below. */
export type AgentTrouble =
  | "silence"
  | "absence"
  | "wrongPassword"
  | "stuck"
  | "lostReply"
  | "noReply"
  | "nonsense"
  | "liar"
  | "flood"
  | "orphan"
  | "leak"
  | "contradiction";

const METADATA = `<?xml version="1.0" ?>
<resource-agent name="fence_scripted" shortdesc="A &quot;switch&quot; in a file" >
<longdesc>Nothing > to see.</longdesc>
<!-- <parameter name="commented" required="1"/> -->
<parameters>
  <parameter name="action" unique="0" required="1"><content type="string" default="reboot" /></parameter>
  <parameter name="ip" unique="0" required="1" obsoletes="ipaddr"><content type="string" /></parameter>
  <parameter name="ipaddr" unique="0" required="1" deprecated="1"><content type="string" /></parameter>
  <parameter name="username" unique="0" required="0" obsoletes="login"><content type="string" /></parameter>
  <parameter name="login" unique="0" required="0" deprecated="1"><content type="string" /></parameter>
  <parameter name="password" unique="0" required="0" obsoletes="passwd"><content type="string" /></parameter>
  <parameter name="passwd" unique="0" required="0" deprecated="1"><content type="string" /></parameter>
  <parameter name="plug" unique="0" required="1" obsoletes="port"><content type="string" /></parameter>
  <parameter name="port" unique="0" required="1" deprecated="1"><content type="string" /></parameter>
  <parameter name="lanplus"><content type="boolean" /></parameter>
  <parameter name="power_wait"><content type="second" default="0" /></parameter>
  <parameter name="auth"><content type="select"><option value="md5" /><option value="none" /></content></parameter>
  <parameter name="missing_as_off"><content type="boolean" /></parameter>
  <parameter name="verbose"><content type="boolean" /></parameter>
</parameters>
<actions><action name="on" automatic="0"/><action name="off" /><action name="status" /><action name="metadata" /></actions>
</resource-agent>
`;

// POSIX shell and nothing else, so that it starts in a few milliseconds.
const PROGRAM = `#!/bin/sh
here=__FOLDER__
action=; secret=
while IFS= read -r line; do
  case $line in action=*) action=\${line#action=} ;; password=*|passwd=*) secret=\${line#*=} ;; esac
  printf '%s\\n' "$line" >>"$here/told"
done
[ "$action" = metadata ] && { echo metadata >>"$here/described"; cat "$here/metadata.xml"; exit 0; }
env >"$here/environment"
tr '\\0' ' ' </proc/$$/cmdline >"$here/command-line"
[ -z "$action" ] && action=reboot
echo "$action" >>"$here/actions"
trouble=$(cat "$here/trouble" 2>/dev/null)
switched() { echo "$1" >"$here/switch.new"; mv "$here/switch.new" "$here/switch"; }
case $trouble in
  silence) sleep 600 & wait ;;
  absence) echo 'Unable to connect/login to fencing device' >&2; exit 1 ;;
  wrongPassword) echo 'Unable to get PowerState: 401' >&2; exit 1 ;;
  nonsense) echo 'Traceback (most recent call last):' >&2; exit 7 ;;
  leak) echo "Parse error: Ignoring unknown option 'password=$secret'" >&2; echo "$secret"; exit 1 ;;
  flood) while :; do echo 'the same line again and again and again'; done ;;
  liar) [ "$action" = status ] && { echo 'Status: OFF'; exit 2; }; echo 'Success: Already OFF'; exit 0 ;;
  contradiction) echo 'Status: OFF'; exit 0 ;;
  orphan) sleep 600 & echo $! >"$here/orphan" ;;
esac
case $action in
  status)
    [ "$(cat "$here/switch")" = On ] && { echo 'Status: ON'; exit 0; }
    echo 'Status: OFF'; exit 2 ;;
  off)
    [ "$trouble" = stuck ] || switched Off
    [ "$trouble" = lostReply ] && { echo 'Connection lost' >&2; exit 1; }
    [ "$trouble" = noReply ] && { sleep 600 & wait; }
    echo 'Success: Powered OFF'; exit 0 ;;
  on) switched On; echo 'Success: Powered ON'; exit 0 ;;
  reboot) switched Off; switched On; echo 'Success: Rebooted'; exit 0 ;;
esac
echo "Failed: Unrecognised action '$action'" >&2
exit 1
`;

/** One folder with one agent, `fence_scripted`, and the machine it switches. */
export class ScriptedAgent {
  readonly agent = "fence_scripted";
  readonly directory = mkdtempSync(join(tmpdir(), "holdfast-agent-"));

  constructor() {
    this.describe(METADATA);
    this.set("On");
    const program = join(this.directory, this.agent);
    writeFileSync(program, PROGRAM.replace("__FOLDER__", `'${this.directory}'`));
    chmodSync(program, 0o755);
  }

  read(): "On" | "Off" {
    return this.#text("switch").trim() === "On" ? "On" : "Off";
  }

  set(state: "On" | "Off"): void {
    writeFileSync(join(this.directory, "switch"), `${state}\n`);
  }

  trouble(name: AgentTrouble): void {
    writeFileSync(join(this.directory, "trouble"), name);
  }

  heal(): void {
    rmSync(join(this.directory, "trouble"), { force: true });
  }

  /** Replaces what the agent says of itself. */
  describe(metadata: string): void {
    writeFileSync(join(this.directory, "metadata.xml"), metadata);
  }

  static get metadata(): string {
    return METADATA;
  }

  /** Every line that it was ever told on standard input. */
  get told(): readonly string[] {
    return this.#lines("told");
  }

  /** Actions it was run for, metadata left out. */
  get actions(): readonly string[] {
    return this.#lines("actions");
  }

  get timesDescribed(): number {
    return this.#lines("described").length;
  }

  get environment(): readonly string[] {
    return this.#lines("environment");
  }

  get commandLine(): string {
    return this.#text("command-line").trim();
  }

  /** A process that the agent left behind. */
  get orphan(): number {
    return Number(this.#text("orphan"));
  }

  remove(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }

  #lines(name: string): readonly string[] {
    return this.#text(name).split("\n").filter(Boolean);
  }

  #text(name: string): string {
    const file = join(this.directory, name);
    return existsSync(file) ? readFileSync(file, "utf8") : "";
  }
}
