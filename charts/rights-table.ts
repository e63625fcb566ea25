// The table of rights for people: every rule of an RBAC file, with the comment above it as its reason.
import { isMap, isScalar, isSeq, parseAllDocuments, type YAMLMap } from "yaml";

/** Markdown, one row a rule. Errors: throws on a rule that no comment gives a reason for. */
export function rightsTable(rbac: string): string {
  const rows = parseAllDocuments(rbac).flatMap((document) => {
    const contents: unknown = document.contents;
    if (!isMap(contents) || !/^(Cluster)?Role$/.test(String(contents.get("kind")))) return [];
    const rules = contents.get("rules");
    if (!isSeq(rules)) return [];
    const where = contents.getIn(["metadata", "namespace"]);
    // A comment above a list's first rule belongs to the list, one above a document to the document.
    const first = rules.commentBefore ?? document.commentBefore ?? contents.commentBefore;
    return rules.items.filter(isMap).map((rule, i) => {
      const reason = commentOf(rule) ?? (i === 0 ? first : undefined);
      if (typeof reason !== "string")
        throw new Error(`deploy/rbac.yaml: no comment gives a reason for ${String(rule)}`);
      return `| ${list(rule, "apiGroups")} | ${list(rule, "resources")} | ${list(rule, "verbs")} | ${
        typeof where === "string" ? `\`${where}\`` : "the cluster"
      } | ${reason.trim().replaceAll(/\n\s*/g, " ").replaceAll("|", "\\|")} |`;
    });
  });
  return ["| API group | resources | verbs | in | why |", "|---|---|---|---|---|", ...rows].join("\n");
}

function commentOf(rule: YAMLMap): string | undefined {
  const [pair] = rule.items;
  const inner = isScalar(pair?.key) ? pair.key.commentBefore : undefined;
  return rule.commentBefore ?? inner ?? undefined;
}

function list(rule: YAMLMap, field: string): string {
  const values = rule.get(field);
  if (!isSeq(values)) return "";
  return values.items
    .map((item) => (isScalar(item) ? String(item.value) : String(item)))
    .map((value) => (value === "" ? "core" : `\`${value}\``))
    .join(", ");
}
