// What Holdfast asks of the API server, as the API server itself writes it down: exact to the microsecond, watches included.
import {
  closeSync,
  existsSync,
  fstatSync,
  mkdtempSync,
  openSync,
  readSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { HOLDFAST_IDENTITY } from "./install.ts";

/** One answered request; a watch when it was accepted. */
export interface AuditedRequest {
  readonly verb: string;
  /** API group; empty for the core. */
  readonly group: string;
  readonly resource: string;
  readonly subresource: string | undefined;
  /** Empty for what is cluster-scoped or asked for across namespaces. */
  readonly namespace: string;
  readonly name: string | undefined;
  readonly code: number;
  /** Refused for want of a right; admission's refusals are none of these. */
  readonly forbidden: boolean;
  /** Wall time at which the API server had answered. */
  readonly atMs: number;
}

interface AuditEvent {
  readonly verb: string;
  readonly stage: "ResponseStarted" | "ResponseComplete";
  readonly stageTimestamp: string;
  readonly objectRef?: {
    readonly apiGroup?: string;
    readonly resource?: string;
    readonly subresource?: string;
    readonly namespace?: string;
    readonly name?: string;
  };
  readonly responseStatus?: { readonly code?: number };
  readonly annotations?: Readonly<Record<string, string>>;
}

const WRITES = new Set(["create", "update", "patch", "delete", "deletecollection"]);

/** Follows Holdfast's ServiceAccount and nobody else, so that auditing costs the API server next to nothing. */
export class AuditLog {
  readonly #directory = mkdtempSync(join(tmpdir(), "holdfast-audit-"));
  readonly #read: AuditedRequest[] = [];
  /** Bytes of the file that have been read; a line that is still being written is left for the next time. */
  #offset = 0;

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
    this.#readOn();
    return this.#read.filter(({ atMs }) => atMs >= fromMs && atMs <= toMs);
  }

  /** Writes in that span, the leader's Lease apart. */
  writes(fromMs: number, toMs: number = Date.now()): readonly AuditedRequest[] {
    return this.requests(fromMs, toMs).filter(
      ({ verb, resource }) => WRITES.has(verb) && resource !== "leases",
    );
  }

  /**
   * What was refused for want of a right in that span, in words. What was allowed later is not among it: an API server
   * that has just started refuses everything until it has read its roles.
   */
  refusals(fromMs: number, toMs: number = Date.now()): readonly string[] {
    const words = ({ verb, group, resource, subresource, namespace, name }: AuditedRequest): string => {
      const what = [resource, subresource].filter((part) => part !== undefined).join("/");
      return `${verb} ${what} of ${group === "" ? "the core" : group}: ${namespace}/${name ?? ""}`;
    };
    const lastAllowedMs = new Map<string, number>();
    const requests = this.requests(fromMs, toMs);
    for (const request of requests) if (!request.forbidden) lastAllowedMs.set(words(request), request.atMs);
    return requests
      .filter((request) => request.forbidden && !((lastAllowedMs.get(words(request)) ?? 0) > request.atMs))
      .map(words);
  }

  remove(): void {
    rmSync(this.#directory, { recursive: true, force: true });
  }

  #readOn(): void {
    const path = join(this.#directory, "audit.log");
    if (!existsSync(path)) return;
    const file = openSync(path, "r");
    const buffer = Buffer.alloc(fstatSync(file).size - this.#offset);
    readSync(file, buffer, 0, buffer.length, this.#offset);
    closeSync(file);
    const end = buffer.lastIndexOf("\n") + 1;
    this.#offset += end;
    for (const line of buffer.toString("utf8", 0, end).split("\n")) {
      if (line === "") continue;
      const event = JSON.parse(line) as AuditEvent;
      if (event.stage !== (event.verb === "watch" ? "ResponseStarted" : "ResponseComplete")) continue;
      this.#read.push(requestOf(event));
    }
  }
}

function requestOf({ objectRef, ...event }: AuditEvent): AuditedRequest {
  return {
    verb: event.verb,
    group: objectRef?.apiGroup ?? "",
    resource: objectRef?.resource ?? "",
    subresource: objectRef?.subresource,
    namespace: objectRef?.namespace ?? "",
    name: objectRef?.name,
    code: event.responseStatus?.code ?? 0,
    forbidden: event.annotations?.["authorization.k8s.io/decision"] === "forbid",
    atMs: wallMsOf(event.stageTimestamp),
  };
}

/** Keeps the fraction of a millisecond, which `Date` would drop. */
function wallMsOf(rfc3339Micro: string): number {
  const micros = /\.\d{3}(\d{3})Z$/.exec(rfc3339Micro)?.[1] ?? "0";
  return Date.parse(rfc3339Micro) + Number(micros) / 1000;
}
