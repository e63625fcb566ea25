import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { configurationReference, helpText } from "../src/config/describe-settings.ts";
import { environmentName, GROUPS, SETTINGS } from "../src/config/settings.ts";

const PAGE = new URL("../docs/configuration.md", import.meta.url);

it("docs/configuration.md is what the table of settings generates (-u writes it)", async () => {
  await expect(configurationReference()).toMatchFileSnapshot(PAGE.pathname);
});

it("every setting is in the page, and every flag and variable in the page is a setting", () => {
  const page = readFileSync(PAGE, "utf8");
  const flags = new Set([...page.matchAll(/^\| `--([a-z-]+)`/gm)].map(([, flag]) => flag));
  const variables = new Set([...page.matchAll(/<br>`(HOLDFAST_[A-Z_]+)`/g)].map(([, variable]) => variable));
  expect(flags).toEqual(new Set(Object.keys(SETTINGS)));
  expect(variables).toEqual(new Set(Object.keys(SETTINGS).map(environmentName)));
});

it("--help shows every setting once, under its group, in lines that fit a terminal", () => {
  const help = helpText();
  for (const name of Object.keys(SETTINGS)) expect(help.split(`\n  --${name}`)).toHaveLength(2);
  for (const group of Object.keys(GROUPS)) expect(help).toContain(`\n${group}:`);
  for (const line of help.split("\n")) expect(line.length).toBeLessThanOrEqual(100);
});

it("every setting is in a group that exists", () => {
  const groups = Object.values(SETTINGS).map(({ group }) => group);
  expect(new Set(groups)).toEqual(new Set(Object.keys(GROUPS)));
});
