import { expect, it } from "vitest";
import { withoutSecrets } from "../../src/act/external/without-secrets.ts";

const SPEC = {
  agent: "fence_ipmilan",
  sharedparameters: { "--password": "hunter2", "--username": "root-hunter2", "--lanplus": "" },
  nodeparameters: { "--snmp-priv-passwd": { "worker-1": "private" }, "--ip": { "worker-1": "192.0.2.7" } },
};

it("takes out what stands under the name of a secret, at any depth, and leaves the rest of the text", () => {
  const text = "fence_ipmilan at 192.0.2.7 refused root-hunter2 with hunter2, private and hunter2";
  expect(withoutSecrets(text, SPEC)).toBe("fence_ipmilan at 192.0.2.7 refused *** with ***, *** and ***");
});

it.each([undefined, null, 7, "hunter2", {}])("changes no text for a spec like %j", (spec) => {
  expect(withoutSecrets("hunter2", spec)).toBe("hunter2");
});
