// A log line for people at a terminal, from the JSON one.

/** Shown at fixed places, not as key=value. */
const PLACED = new Set(["time", "level", "room", "msg", "err"]);

/** `18:04:05.678 WARN  decide  message key=value`; a line that is no JSON object comes back as it is. */
export function textLine(line: string): string {
  const fields = parseObject(line);
  if (!fields) return line;
  const { time, level, room, msg, err } = fields;
  const clock = text(time).slice(11, 23);
  const rest = Object.entries(fields)
    .filter(([key]) => !PLACED.has(key))
    .map(([key, value]) => ` ${key}=${text(value)}`);
  const head = `${clock} ${text(level).toUpperCase().padEnd(5)} ${text(room).padEnd(8)} ${text(msg)}${rest.join("")}\n`;
  return err === undefined ? head : `${head}${stackOf(err)}\n`;
}

function text(value: unknown): string {
  if (value === undefined) return "";
  return typeof value === "string" && !/[\s"=]/.test(value) ? value : asMessage(value);
}

function asMessage(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

function stackOf(err: unknown): string {
  return typeof err === "object" && err !== null && "stack" in err ? asMessage(err.stack) : asMessage(err);
}

function parseObject(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === "object" && value !== null ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}
