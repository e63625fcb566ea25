// Text for a terminal: colour where one is there, aligned tables, wrapped paragraphs. Knows nothing of what it shows.

export type Tone = "good" | "bad" | "warn" | "dim" | "strong" | "plain";

const CODES: Readonly<Record<Tone, string>> = {
  good: "\u001b[32m",
  bad: "\u001b[31m",
  warn: "\u001b[33m",
  dim: "\u001b[2m",
  strong: "\u001b[1m",
  plain: "",
};
const RESET = "\u001b[0m";
const MIN_COLUMNS = 40;

/** Colours a text, or leaves it as it is. */
export type Paint = (tone: Tone, text: string) => string;

/** Colour only where a terminal shows it and nobody has asked for none (https://no-color.org). */
export function painter(
  terminal: { readonly isTerminal: boolean },
  environment: Readonly<Record<string, string | undefined>>,
): Paint {
  const { NO_COLOR: refused = "", TERM: kind } = environment;
  if (!terminal.isTerminal || refused !== "" || kind === "dumb") return (_tone, text) => text;
  return (tone, text) => (CODES[tone] === "" || text === "" ? text : `${CODES[tone]}${text}${RESET}`);
}

/** A cell of a table: what it says, and in which tone. */
export type Cell = string | { readonly text: string; readonly tone: Tone };

/** Rows under a header, columns aligned by width; the last column is never padded. */
export function table(paint: Paint, header: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const all: readonly (readonly Cell[])[] = [
    header.map((text) => ({ text: text.toUpperCase(), tone: "dim" as const })),
    ...rows,
  ];
  const widths = header.map((_, column) => Math.max(...all.map((row) => textOf(row[column]).length)));
  return all
    .map((row) =>
      row
        .map((cell, column) => {
          const text = textOf(cell);
          const gap = column === row.length - 1 ? "" : " ".repeat((widths[column] ?? 0) - text.length);
          return `${paint(typeof cell === "string" ? "plain" : cell.tone, text)}${gap}`;
        })
        .join("   ")
        .trimEnd(),
    )
    .map((line) => `${line}\n`)
    .join("");
}

function textOf(cell: Cell | undefined): string {
  if (cell === undefined) return "";
  return typeof cell === "string" ? cell : cell.text;
}

/** Breaks a paragraph into lines of at most `columns`, each with `indent` before it. */
export function wrap(text: string, indent: string, columns: number): string {
  const width = Math.max(columns, MIN_COLUMNS);
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && indent.length + line.length + 1 + word.length > width) {
      lines.push(indent + line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return `${[...lines, indent + line].join("\n")}\n`;
}

/** `8 s`, `3 min 05 s`, `2 h 04 min`, `3 d 2 h`. */
export function durationText(ms: number): string {
  const seconds = Math.round(Math.abs(ms) / 1000);
  if (seconds < 60) return `${seconds} s`;
  const two = (value: number): string => String(value).padStart(2, "0");
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${two(seconds % 60)} s`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${two(minutes % 60)} min` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** `1 VM`, `3 VMs`. */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}
