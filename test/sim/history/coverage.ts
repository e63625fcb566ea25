// How often each fault was drawn in a run, and what came of them all: a fault that never happens tests nothing.
import { planOfSeed } from "./failed-seeds.ts";
import { type Fault, FAULTS, faultsOf } from "./faults.ts";
import { type Happening, HAPPENINGS } from "./happenings.ts";

export class Coverage {
  readonly #drawn = new Map<Fault, number>();
  readonly #happened = new Map<Happening, { times: number; histories: number }>();
  #histories = 0;

  add(seed: number, happened: Readonly<Record<Happening, number>>): void {
    this.#histories += 1;
    for (const fault of faultsOf(planOfSeed(seed))) this.#drawn.set(fault, (this.#drawn.get(fault) ?? 0) + 1);
    for (const name of Object.keys(HAPPENINGS) as Happening[]) {
      if (happened[name] === 0) continue;
      const { times, histories } = this.#happened.get(name) ?? { times: 0, histories: 0 };
      this.#happened.set(name, { times: times + happened[name], histories: histories + 1 });
    }
  }

  /** For people: a line for each, what never was first. */
  toString(): string {
    const drawn = (Object.keys(FAULTS) as Fault[])
      .map((name) => ({ name, count: this.#drawn.get(name) ?? 0 }))
      .sort((one, other) => one.count - other.count)
      .map(({ name, count }) => `${String(count).padStart(9)}  ${name}`);
    const happened = (Object.keys(HAPPENINGS) as Happening[])
      .map((name) => ({ name, ...(this.#happened.get(name) ?? { times: 0, histories: 0 }) }))
      .sort((one, other) => one.times - other.times)
      .map(
        ({ name, times, histories }) =>
          `${String(times).padStart(9)}  ${name}, in ${histories} histories: ${HAPPENINGS[name]}`,
      );
    return [
      `drawn in so many of ${this.#histories} histories:`,
      ...drawn,
      "what came of it, in all:",
      ...happened,
    ].join("\n");
  }
}
