import { execFileSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { billOfMaterials } from "../../lab/images/bill-of-materials.ts";
import packageJson from "../../package.json" with { type: "json" };

const component = (ref: string) => ({ "bom-ref": ref });
const WHOLE = {
  serialNumber: "urn:uuid:1",
  metadata: { timestamp: "now", tools: [], component: component("us@1") },
  components: ["a@1", "b@1", "c@1", "tool@1"].map(component),
  dependencies: [
    { ref: "us@1", dependsOn: ["a@1", "tool@1"] },
    { ref: "a@1", dependsOn: ["b@1"] },
    { ref: "b@1", dependsOn: ["a@1"] },
    { ref: "tool@1", dependsOn: ["b@1", "c@1"] },
    { ref: "c@1" },
  ],
};

describe("the image's bill of materials", () => {
  it("holds what we need, however deep and in circles, and nothing of the tools, nor when it was made", () => {
    const bill = billOfMaterials(WHOLE, ["a"]);
    expect(bill.components).toEqual([component("a@1"), component("b@1")]);
    expect(bill.dependencies).toEqual([
      { ref: "us@1", dependsOn: ["a@1"] },
      { ref: "a@1", dependsOn: ["b@1"] },
      { ref: "b@1", dependsOn: ["a@1"] },
    ]);
    expect(bill).not.toHaveProperty("serialNumber");
    expect(bill.metadata).not.toHaveProperty("timestamp");
  });

  it("is refused where a package is missing", () => {
    expect(() => billOfMaterials(WHOLE, ["a", "lost"])).toThrow("npm's bill of materials has no lost");
  });

  it("names every package that the operator uses, in its version, and no tool of ours", () => {
    const told = execFileSync("npm", ["sbom", "--package-lock-only", "--sbom-format=cyclonedx"], {
      stdio: ["ignore", "pipe", "ignore"],
      maxBuffer: 16 * 1024 * 1024,
      env: { ...process.env, npm_config_offline: "true" },
    });
    const whole = JSON.parse(told.toString()) as Parameters<typeof billOfMaterials>[0];
    const refs = billOfMaterials(whole, Object.keys(packageJson.dependencies)).components.map(
      (one) => one["bom-ref"],
    );
    for (const [name, version] of Object.entries(packageJson.dependencies))
      expect(refs).toContain(`${name}@${version}`);
    for (const tool of Object.keys(packageJson.devDependencies).filter((name) => !name.startsWith("@types/")))
      expect(refs.filter((ref) => ref.startsWith(`${tool}@`))).toEqual([]);
  });
});
