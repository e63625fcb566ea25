// Asks a person to mean what they are about to do. Nothing is taken for a yes but the exact words.
import type { CommandContext } from "./command-context.ts";

/** Why nothing is done, or undefined where the person typed `word`, or said --yes beforehand. */
export async function unconfirmed(
  context: CommandContext,
  word: string,
  question: string,
): Promise<string | undefined> {
  if (context.has("yes")) return undefined;
  const answer = await context.world.ask(`${question} `);
  if (answer === undefined) return "nobody is there to confirm it: say --yes if you mean it";
  return answer.trim() === word
    ? undefined
    : `found "${answer.trim()}" where "${word}" would have confirmed it: nothing was changed`;
}
