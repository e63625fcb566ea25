// Which revision of each Secret in our own namespace is current. Holds no Secret: the values are dropped as they arrive.
import type { ApiTransport } from "../kube/transport.ts";
import type { Clock, Random } from "../model/clock.ts";
import { readWith, metadata } from "./facts/reading.ts";
import { Reflector } from "./reflector.ts";
import { z } from "zod";

/** Helm keeps whole releases in Secrets, each up to a megabyte, and none of them is of use to a fence device. */
const FIELD_SELECTOR = "type!=helm.sh/release.v1";

const secret = z.object({ metadata });

export interface SecretRevisionsOptions {
  readonly transport: ApiTransport;
  readonly clock: Clock;
  readonly random: Random;
  readonly namespace: string;
  /** A Secret was changed, made or deleted. */
  readonly onChange: (name: string) => void;
}

/** Maps `namespace/name` to the resourceVersion. Nothing is judged by it: without the right to watch it only stays empty. */
export function watchSecretRevisions(options: SecretRevisionsOptions): Reflector<string> {
  const { namespace, onChange, ...ports } = options;
  const reflector = new Reflector<string>({
    ...ports,
    name: "secrets",
    path: `/api/v1/namespaces/${namespace}/secrets`,
    fieldSelector: FIELD_SELECTOR,
    // A Secret that is seen for the first time is no change, unless the first list has been taken.
    onChange: (key, before) => {
      if (before !== undefined || reflector.synced) onChange(key.slice(namespace.length + 1));
    },
    parse: (raw) => {
      const reading = readWith(secret, raw, (read) => read.metadata.resourceVersion);
      return reading.ok ? { fact: reading.fact } : { skip: reading.reason };
    },
  });
  return reflector;
}
