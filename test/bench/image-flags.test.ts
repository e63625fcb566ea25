import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import { imageFlags } from "../../bench/image-flags.ts";

it("both images run Node.js with the flags that the benchmarks measure with, and Node.js knows them", async () => {
  const flags = imageFlags();
  expect(flags).toContain("--heap-growing-percent=50");
  const program = "process.stdout.write(process.execArgv.join(' '))";
  const { stdout } = await promisify(execFile)(process.execPath, [...flags, "-e", program]);
  expect(stdout.startsWith(flags.join(" "))).toBe(true);
});
