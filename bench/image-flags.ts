// How the image runs Node.js: what is measured is to be what runs.
import { readFileSync } from "node:fs";

/** The flags for Node.js itself in the images' entry points; throws where the images differ. */
export function imageFlags(): readonly string[] {
  const dockerfile = readFileSync(new URL("../Dockerfile", import.meta.url), "utf8");
  const lines = [...dockerfile.matchAll(/^ENTRYPOINT (\[.*\])$/gm)].map(([, list = "[]"]) => list);
  const [first = "[]", ...others] = lines;
  if (others.some((list) => list !== first))
    throw new Error("Dockerfile: the images have different entry points; make them the same");
  const entry = JSON.parse(first) as readonly string[];
  return entry.filter((word) => word.startsWith("--"));
}
