// A NodeFencing's annotations -> a person's word, with its time and writer as far as the API server has noted them.
import { z } from "zod";
import {
  CONFIRM_OFF_ANNOTATION,
  CONFIRM_OFF_BY_ANNOTATION,
  type Confirmation,
} from "../../model/confirmation.ts";

const fields = z.record(z.string(), z.unknown());

/** What is kept of a person's free text. */
const MAX_WORD_CHARS = 128;

/** Who wrote which fields when; `fieldsV1` is a tree whose keys are `f:<field>`. */
const managed = z.object({
  metadata: z.object({
    managedFields: z
      .array(
        z.object({
          manager: z.string().optional(),
          time: z.string().optional(),
          fieldsV1: z
            .object({ "f:metadata": z.object({ "f:annotations": fields.optional() }).optional() })
            .optional(),
        }),
      )
      .optional(),
  }),
});

/**
 * The word on the object, undefined where there is none. Time and manager are of the newest write of the boot ID; a
 * write by several at once (server-side apply) names the newest of them.
 */
export function readConfirmation(
  annotations: Readonly<Record<string, string>>,
  raw: unknown,
): Confirmation | undefined {
  const bootID = wordOf(annotations[CONFIRM_OFF_ANNOTATION]);
  if (bootID === undefined) return undefined;
  const by = wordOf(annotations[CONFIRM_OFF_BY_ANNOTATION]) ?? "";
  const parsed = managed.safeParse(raw);
  const writes = (parsed.success ? (parsed.data.metadata.managedFields ?? []) : [])
    .filter((entry) => {
      const owned = entry.fieldsV1?.["f:metadata"]?.["f:annotations"];
      return owned !== undefined && Object.hasOwn(owned, `f:${CONFIRM_OFF_ANNOTATION}`);
    })
    .sort((a, b) => ((a.time ?? "") < (b.time ?? "") ? 1 : -1));
  const [newest] = writes;
  return {
    bootID,
    by,
    ...(newest?.time === undefined ? {} : { writtenAt: newest.time }),
    ...(newest?.manager === undefined ? {} : { manager: newest.manager }),
  };
}

function wordOf(text: string | undefined): string | undefined {
  return text?.trim().slice(0, MAX_WORD_CHARS);
}
