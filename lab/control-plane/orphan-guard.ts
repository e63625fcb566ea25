// Ends child processes when this process is gone, however it went (SIGKILL included). Knows process ids, nothing else.
import { spawn } from "node:child_process";

/** Watches over processes until it is released. */
export interface OrphanGuard {
  /** From now on `pid` is killed when this process dies. */
  watch(pid: number): void;
  /** `pid` has ended; its number may soon belong to somebody else. */
  forget(pid: number): void;
  /** Ends the guard itself without touching anything. */
  release(): Promise<void>;
}

// Its standard input closes when our process dies, and only then or on release. Exit handlers would miss SIGKILL.
const SCRIPT = `
watched=" "
while read -r verb pid; do
  case "$verb" in
    watch) watched="$watched$pid " ;;
    forget) kept=" "; for one in $watched; do [ "$one" = "$pid" ] || kept="$kept$one "; done; watched="$kept" ;;
    release) exit 0 ;;
  esac
done
for pid in $watched; do kill -9 "$pid" 2>/dev/null; done
[ -z "$1" ] || { sleep 0.2; rm -rf -- "$1"; }
`;

/**
 * Starts a guard. `removeDirectory` is deleted after the processes where our process died before it could do so.
 * Errors: throws when no shell can be started.
 */
export function startOrphanGuard(options: { readonly removeDirectory?: string } = {}): OrphanGuard {
  // Detached: Ctrl-C in a terminal reaches the whole foreground group and must not take the guard along.
  const guard = spawn("/bin/sh", ["-c", SCRIPT, "orphan-guard", options.removeDirectory ?? ""], {
    stdio: ["pipe", "ignore", "ignore"],
    detached: true,
    env: { PATH: process.env["PATH"] ?? "/usr/bin:/bin" },
  });
  if (guard.pid === undefined)
    throw new Error("/bin/sh could not be started, so nothing would end the servers");
  const ended = new Promise<void>((resolve) => guard.once("exit", () => resolve()));
  guard.stdin.on("error", () => undefined);
  guard.unref();
  const tell = (line: string) => void guard.stdin.write(`${line}\n`);
  return {
    watch: (pid) => tell(`watch ${pid}`),
    forget: (pid) => tell(`forget ${pid}`),
    release: async () => {
      tell("release");
      guard.ref();
      await ended;
    },
  };
}
