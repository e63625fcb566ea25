// Printer columns that several kinds have.
import type { Column } from "./kind.ts";

export const AGE_COLUMN: Column = {
  name: "Age",
  type: "date",
  jsonPath: ".metadata.creationTimestamp",
  description: "Time since it was created.",
};

/** The status of the condition of that type. */
export function conditionColumn(type: string, description = `Status of the condition ${type}.`): Column {
  return {
    name: type,
    type: "string",
    jsonPath: `.status.conditions[?(@.type=="${type}")].status`,
    description,
  };
}
