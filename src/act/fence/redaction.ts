// Keeps secrets out of whatever is shown, logged or stored. Knows no device.
import { MAX_MESSAGE_CHARS } from "./fence-device.ts";

const MASK = "***";

/** Cleans texts of the secrets it was told, in the forms in which protocols write them, and shortens them. */
export class Redactor {
  #forms = new Set<string>();

  add(secret: string): void {
    if (secret === "") return;
    this.#forms.add(secret);
    this.#forms.add(JSON.stringify(secret).slice(1, -1));
    this.#forms.add(encodeURIComponent(secret));
    this.#forms.add(Buffer.from(secret).toString("base64"));
  }

  /** The text without secrets and control characters, at most `MAX_MESSAGE_CHARS` long. */
  clean(text: string): string {
    let cleaned = text;
    // Longest first, so that a form that contains another leaves no tail.
    for (const form of [...this.#forms].sort((one, other) => other.length - one.length)) {
      cleaned = cleaned.replaceAll(form, MASK);
    }
    return cleaned
      .replaceAll(/[\p{Cc}\s]+/gu, " ")
      .trim()
      .slice(0, MAX_MESSAGE_CHARS);
  }
}
