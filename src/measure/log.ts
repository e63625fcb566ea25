// The log: JSON lines on standard output, one child logger per room. Knows how to write and what not to write.
import { destination, type Logger, pino, stdTimeFunctions } from "pino";
import { textLine } from "./log-text.ts";
import { redact, scrub } from "./redact.ts";

const LEVELS = ["trace", "debug", "info", "warn", "error", "fatal"] as const;
export type LogLevel = (typeof LEVELS)[number];

type Fields = Readonly<Record<string, unknown>>;
type Write = (fields: Fields, message: string) => void;

/** Fields for machines, a message for people; an exception goes into the field `err`. */
export type Log = { readonly [L in LogLevel]: Write } & {
  /** The same log with more fields in every line. */
  readonly with: (fields: Fields) => Log;
};

export interface LogOptions {
  readonly level: LogLevel;
  readonly format: "json" | "text";
  /** Fields of every line, for instance the replica's identity. */
  readonly fields?: Fields;
  /** Takes finished lines; standard output unless said. */
  readonly write?: (line: string) => void;
}

/**
 * Makes the process's log. Guarantees: values of keys that name secrets are masked at any depth, and so are credentials
 * inside texts; lines are written at once, so that a crash loses none.
 */
export function createLog(options: LogOptions): Log {
  const write = options.write ?? writerToStandardOutput();
  const render = options.format === "text" ? textLine : (line: string) => line;
  const logger = pino(
    {
      level: options.level,
      base: null,
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }), log: redactFields },
      // `redact` has made a plain object of it already.
      serializers: { err: (err: unknown) => err },
    },
    { write: (line: string) => write(scrub(render(line))) },
  );
  return wrap(logger).with(options.fields ?? {});
}

/** pino's own `child` does not pass its fields through the formatter that masks, so that nobody gets hold of it. */
function wrap(logger: Logger): Log {
  const writers = LEVELS.map((level): [LogLevel, Write] => [
    level,
    (fields, message) => logger[level](fields, message),
  ]);
  return {
    ...(Object.fromEntries(writers) as { [L in LogLevel]: Write }),
    with: (fields) => wrap(logger.child(redactFields(fields))),
  };
}

/** The log of one room of the house (`decide`, `act`, …). */
export function roomLog(log: Log, room: string): Log {
  return log.with({ room });
}

/** The same log within one turn: the turn's number ties log lines, events and statuses together. */
export function turnLog(log: Log, turn: number): Log {
  return log.with({ turn });
}

function redactFields(fields: Fields): Record<string, unknown> {
  return redact(fields) as Record<string, unknown>;
}

function writerToStandardOutput(): (line: string) => void {
  const output = destination({ fd: 1, sync: true });
  return (line) => output.write(line);
}
