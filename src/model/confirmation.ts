// A person's word that a node is off: two annotations on its NodeFencing.

/** Holds the boot ID of the incarnation that the person vouches for, so that the word cannot be about another. */
export const CONFIRM_OFF_ANNOTATION = "holdfast.dev/confirm-off";
/** Holds who says so. */
export const CONFIRM_OFF_BY_ANNOTATION = "holdfast.dev/confirm-off-by";

export interface Confirmation {
  readonly bootID: string;
  /** Empty where nobody put a name to it. */
  readonly by: string;
  /** When the annotation was written, as the API server noted it (whole seconds), and by which field manager. */
  readonly writtenAt?: string;
  readonly manager?: string;
}

/** A word that was not taken, on record so that it is not taken later either, when it no longer says what it said. */
export interface RefusedConfirmation {
  readonly bootID: string;
  readonly by: string;
  readonly writtenAt?: string;
  readonly refusedAt: string;
  /** Why, for people: what was found, and what would be taken. */
  readonly message: string;
}

/** Whether the record is about this very word: the same one written anew has another time. */
export function isSameWord(word: Confirmation, refused: RefusedConfirmation | undefined): boolean {
  return (
    refused !== undefined &&
    refused.bootID === word.bootID &&
    refused.by === word.by &&
    refused.writtenAt === word.writtenAt
  );
}
