// The build from Go modules, with a go command that only pretends; the real one takes minutes.
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { buildFromModules } from "../../lab/control-plane/go-build.ts";
import type { OrphanGuard } from "../../lab/control-plane/orphan-guard.ts";
import type { BinaryName } from "../../lab/control-plane/versions.ts";
import { recordProgress } from "./recorded-progress.ts";
import { scratchFolder, writeScript } from "./scratch-folder.ts";

/** A go that knows version, list and build. Compiling `bad` fails. */
const FAKE_GO = `
case "$1" in
  version) echo "go version go1.26.8 linux/amd64" ;;
  list)
    echo "go: downloading k8s.io/api v0.37.2" >&2
    echo "go: downloading k8s.io/kubernetes v1.37.2" >&2
    printf 'a\\nb\\nc\\nd\\n' ;;
  build)
    for one in "$@"; do case "$previous" in -o) out="$one" ;; esac; previous="$one"; done
    echo "k8s.io/api/core/v1" >&2
    echo "# a message, not a package" >&2
    echo "k8s.io/kubernetes/cmd/kube-scheduler" >&2
    [ -z "$FAIL" ] || { echo "compile: out of memory" >&2; exit 2; }
    touch "$out/server" "$out/kube-scheduler" ;;
esac`;

function setting(script: string) {
  const root = scratchFolder();
  const watched: number[] = [];
  const guard: OrphanGuard = {
    watch: (pid) => void watched.push(pid),
    forget: (pid) => void watched.splice(watched.indexOf(pid), 1),
    release: () => Promise.resolve(),
  };
  const names: readonly BinaryName[] = ["etcd", "kube-scheduler"];
  const progress = recordProgress();
  const directory = scratchFolder();
  const go = writeScript(join(root, "go"), script);
  return { options: { names, directory, progress, guard, go }, watched };
}

describe("the build from Go modules", () => {
  it("names the binaries as everybody calls them and counts compiled packages", async () => {
    const { options, watched } = setting(FAKE_GO);
    await buildFromModules(options);
    expect(readdirSync(options.directory).sort()).toEqual(["etcd", "kube-scheduler"]);
    const building = "building etcd, kube-scheduler from the Go modules (once)";
    expect(options.progress.shown).toEqual([
      { what: "looking at the Go modules", measure: undefined },
      { what: "fetching the Go modules", measure: { done: 1, unit: "modules" } },
      { what: "fetching the Go modules", measure: { done: 2, unit: "modules" } },
      { what: building, measure: { done: 0, total: 4, unit: "packages" } },
      { what: building, measure: { done: 1, total: 4, unit: "packages" } },
      { what: building, measure: { done: 2, total: 4, unit: "packages" } },
    ]);
    expect(watched).toEqual([]);
  });

  it("shows the compiler's own words when it fails", async () => {
    const { options } = setting(`FAIL=1\n${FAKE_GO}`);
    await expect(buildFromModules(options)).rejects.toThrow(
      /go build failed with exit code 2\. Its last lines:\n[^]*compile: out of memory/,
    );
    expect(existsSync(join(options.directory, "etcd"))).toBe(false);
  });

  it("says what to install where there is no Go", async () => {
    const { options } = setting(FAKE_GO);
    await expect(buildFromModules({ ...options, go: "/nonexistent/go" })).rejects.toThrow(
      /needs Go 1\.26 or newer, and this machine has: no go command\nInstall it from https:\/\/go\.dev\/dl\/.*HOLDFAST_ASSETS/,
    );
  });

  it("says what to install where Go is too old", async () => {
    const old = setting('echo "go version go1.24.1 linux/amd64"');
    await expect(buildFromModules(old.options)).rejects.toThrow(/this machine has: go version go1\.24\.1/);
    const refusing = setting('echo "go: go.mod requires go >= 1.26.0 (running go 1.22.2)" >&2; exit 1');
    await expect(buildFromModules(refusing.options)).rejects.toThrow(
      /requires go >= 1\.26\.0 \(running go 1\.22\.2\)/,
    );
  });
});
