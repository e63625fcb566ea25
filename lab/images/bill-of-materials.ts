// Makes the image's bill of materials from what npm says of the whole lock file: `npm sbom | node bill-of-materials.ts`.
// npm's own --omit=dev leaves out packages of ours that a development tool happens to use as well (npm 11.19: undici, zod).
import { readFileSync } from "node:fs";
import { text } from "node:stream/consumers";

interface Bill {
  readonly serialNumber?: unknown;
  readonly metadata: { readonly timestamp?: unknown; readonly component: { readonly "bom-ref": string } };
  readonly components: readonly { readonly "bom-ref": string }[];
  readonly dependencies: readonly { readonly ref: string; readonly dependsOn?: readonly string[] }[];
}

/**
 * Keeps what the named packages need, themselves included, and drops the time and the serial number: same input, same
 * bytes. Errors: throws where a package is not in the bill.
 */
export function billOfMaterials(whole: Bill, packages: readonly string[]): Bill {
  const edges = new Map(whole.dependencies.map(({ ref, dependsOn = [] }) => [ref, dependsOn]));
  const root = whole.metadata.component["bom-ref"];
  const direct = packages.map((name) => {
    const ref = edges.get(root)?.find((one) => one.startsWith(`${name}@`));
    if (ref === undefined) throw new Error(`npm's bill of materials has no ${name}`);
    return ref;
  });
  const used = new Set(direct);
  // A set that grows is walked to its end.
  for (const ref of used) for (const next of edges.get(ref) ?? []) used.add(next);
  const { serialNumber: _serial, ...bill } = whole;
  const { timestamp: _time, ...metadata } = whole.metadata;
  return {
    ...bill,
    metadata,
    components: whole.components.filter((component) => used.has(component["bom-ref"])),
    dependencies: [
      { ref: root, dependsOn: direct },
      ...whole.dependencies.filter(({ ref }) => used.has(ref)),
    ],
  };
}

if (import.meta.main) {
  const { dependencies } = JSON.parse(readFileSync("package.json", "utf8")) as {
    readonly dependencies: Readonly<Record<string, string>>;
  };
  const whole = JSON.parse(await text(process.stdin)) as Bill;
  process.stdout.write(JSON.stringify(billOfMaterials(whole, Object.keys(dependencies))));
}
