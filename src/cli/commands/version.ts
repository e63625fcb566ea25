// `version`: which plugin this is.
import packageJson from "../../../package.json" with { type: "json" };
import type { Command } from "../command.ts";
import { EXIT } from "../exit-codes.ts";

export const version: Command = {
  name: "version",
  summary: "Which version of the plugin this is.",
  about: ["Prints the plugin's version. Asks nothing of a cluster."],
  args: [],
  flags: [],
  examples: [["kubectl holdfast version", "0.1.0, for instance"]],
  run: async (context) => {
    await Promise.resolve();
    if (context.json) context.printJson({ version: packageJson.version });
    else context.print(`${packageJson.version}\n`);
    return EXIT.ok;
  },
};
