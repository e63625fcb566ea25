// The demo's story as it happens: one line per event on the terminal, and the same kept for the report.

export interface TimelineEvent {
  /** Seconds since the demo began. */
  readonly at: number;
  /** Who did or suffered it: a node, a VM, `kubectl`, `holdfast`. */
  readonly about: string;
  readonly what: string;
  readonly tone: Tone;
}

/** `chapter` begins a story; `deed` is what the demo does to the cluster; `bad` and `good` colour what follows from it. */
export type Tone = "chapter" | "deed" | "plain" | "good" | "bad";

const COLOURS: Readonly<Record<Tone, string>> = {
  chapter: "\u001b[1;36m",
  deed: "\u001b[1;33m",
  plain: "",
  good: "\u001b[32m",
  bad: "\u001b[31m",
};
const RESET = "\u001b[0m";
const ABOUT_WIDTH = 14;

/** Collects and prints events. Colour only where `stream` is a terminal. */
export class Timeline {
  readonly events: TimelineEvent[] = [];
  readonly #stream: NodeJS.WriteStream;
  readonly #startedMs = performance.now();

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream;
  }

  /** Seconds since the demo began. */
  now(): number {
    return Math.round((performance.now() - this.#startedMs) / 10) / 100;
  }

  tell(about: string, what: string, tone: Tone = "plain"): void {
    const event = { at: this.now(), about, what, tone };
    this.events.push(event);
    this.#stream.write(`${this.#render(event)}\n`);
  }

  #render({ at, about, what, tone }: TimelineEvent): string {
    const colour = this.#stream.isTTY ? COLOURS[tone] : "";
    const reset = colour === "" ? "" : RESET;
    if (tone === "chapter") return `\n${colour}${about}  ${what}${reset}`;
    return `${at.toFixed(2).padStart(8)} s  ${colour}${about.padEnd(ABOUT_WIDTH)} ${what}${reset}`;
  }
}
