// Reads Secrets for the length of one step, each of them once and none from memory: a rotated password counts at once.
import { z } from "zod";
import type { SecretRef } from "../model/fencing.ts";
import { type Caller, type Effect, type EffectFailure, send } from "./guarded-request.ts";
import { corePath } from "./resource-path.ts";

export interface SecretSource extends Caller {
  /** The operator's own namespace: where Secrets are that name none. */
  readonly namespace: string;
}

/** The values of one Secret, decoded. */
export type SecretValues = Readonly<Record<string, string>>;

const secretData = z.object({ data: z.record(z.string(), z.string()).default({}) });

export class SecretReader {
  #source: SecretSource;
  #read = new Map<string, Effect<SecretValues>>();

  constructor(source: SecretSource) {
    this.#source = source;
  }

  /** Reads all of them, concurrently; the first failure in their order, or undefined where there is none. */
  async readAll(refs: readonly SecretRef[]): Promise<EffectFailure | undefined> {
    const wanted = new Map(refs.map((ref) => [this.#key(ref), ref]));
    const found = await Promise.all(
      [...wanted].map(async ([key, ref]) => [key, await this.#fetch(ref)] as const),
    );
    this.#read = new Map(found);
    for (const [, secret] of found) if (!secret.ok) return secret;
    return undefined;
  }

  /** The values of a Secret that `readAll` has read; empty for any other. */
  valuesOf(ref: SecretRef): SecretValues {
    const secret = this.#read.get(this.#key(ref));
    return secret?.ok === true ? secret.value : {};
  }

  #key(ref: SecretRef): string {
    return `${ref.namespace ?? this.#source.namespace}/${ref.name}`;
  }

  async #fetch(ref: SecretRef): Promise<Effect<SecretValues>> {
    const namespace = ref.namespace ?? this.#source.namespace;
    const path = corePath(namespace, "secrets", ref.name);
    const read = await send<unknown>(this.#source, { method: "GET", path });
    if (!read.ok) return { ...read, message: `Secret ${namespace}/${ref.name}: ${read.message}` };
    const parsed = secretData.safeParse(read.value);
    const data = parsed.success ? parsed.data.data : {};
    const texts = Object.entries(data).map(([key, value]) => [key, decoded(value)]);
    return { ok: true, value: Object.fromEntries(texts) as Record<string, string> };
  }
}

/** A Secret made from a file ends in the file's last line break, which no device has in its password. */
export function oneLine(value: string | undefined): string {
  return (value ?? "").replace(/\r?\n$/, "");
}

function decoded(value: string): string {
  return Buffer.from(value, "base64").toString("utf8");
}
