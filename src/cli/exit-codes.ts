// What the plugin's exit code means. docs/cli.md has the same table; a test compares them.

/** Exit codes, stable for scripts. */
export const EXIT = {
  /** Done, and nothing calls for attention. */
  ok: 0,
  /** The API server could not be reached, refused, or what was found cannot be read. */
  failed: 1,
  /** The command line is wrong. Nothing was asked of the cluster. */
  usage: 2,
  /** Done, and the answer calls for attention: something is not protected, down, or would stay down. */
  attention: 3,
  /** Nothing was changed: the person did not confirm, or the state of the cluster forbids it. */
  declined: 4,
  /** What was named does not exist. */
  notFound: 5,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];
