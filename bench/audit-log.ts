// What Holdfast asks of the API server, as the API server itself writes it down: exact to the microsecond, watches included.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { HOLDFAST_IDENTITY } from "../lab/holdfast/install.ts";

/** One answered request; a watch when it was accepted. */
export interface AuditedRequest {
  readonly verb: string;
  readonly resource: string;
  readonly subresource: string | undefined;
  readonly name: string | undefined;
  readonly code: number;
  /** Wall time at which the API server had answered. */
  readonly atMs: number;
}

interface AuditEvent {
  readonly verb: string;
  readonly stage: "ResponseStarted" | "ResponseComplete";
  readonly stageTimestamp: string;
  readonly objectRef?: { readonly resource?: string; readonly subresource?: string; readonly name?: string };
  readonly responseStatus?: { readonly code?: number };
}

const WRITES = new Set(["create", "update", "patch", "delete", "deletecollection"]);

/** Follows Holdfast's ServiceAccount and nobody else, so that auditing costs the API server next to nothing. */
export class AuditLog {
  readonly #directory = mkdtempSync(join(tmpdir(), "holdfast-audit-"));

  constructor() {
    const policy = {
      apiVersion: "audit.k8s.io/v1",
      kind: "Policy",
      omitStages: ["RequestReceived"],
      rules: [{ level: "Metadata", users: [HOLDFAST_IDENTITY.user] }, { level: "None" }],
    };
    // JSON is YAML.
    writeFileSync(join(this.#directory, "policy.yaml"), JSON.stringify(policy));
  }

  get apiServerFlags(): readonly string[] {
    return [
      `--audit-policy-file=${join(this.#directory, "policy.yaml")}`,
      `--audit-log-path=${join(this.#directory, "audit.log")}`,
    ];
  }

  /** Requests answered in that span of wall time. */
  requests(fromMs: number, toMs: number = Date.now()): readonly AuditedRequest[] {
    const lines = readFileSync(join(this.#directory, "audit.log"), "utf8").split("\n");
    return lines
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as AuditEvent)
      .filter((event) => event.stage === (event.verb === "watch" ? "ResponseStarted" : "ResponseComplete"))
      .map((event) => ({
        verb: event.verb,
        resource: event.objectRef?.resource ?? "",
        subresource: event.objectRef?.subresource,
        name: event.objectRef?.name,
        code: event.responseStatus?.code ?? 0,
        atMs: wallMsOf(event.stageTimestamp),
      }))
      .filter(({ atMs }) => atMs >= fromMs && atMs <= toMs);
  }

  /** Writes in that span, the leader's Lease apart. */
  writes(fromMs: number, toMs: number = Date.now()): readonly AuditedRequest[] {
    return this.requests(fromMs, toMs).filter(
      ({ verb, resource }) => WRITES.has(verb) && resource !== "leases",
    );
  }

  remove(): void {
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

/** Keeps the fraction of a millisecond, which `Date` would drop. */
function wallMsOf(rfc3339Micro: string): number {
  const micros = /\.\d{3}(\d{3})Z$/.exec(rfc3339Micro)?.[1] ?? "0";
  return Date.parse(rfc3339Micro) + Number(micros) / 1000;
}
