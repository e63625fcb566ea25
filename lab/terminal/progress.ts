// Shows a long step to a person: what, how far, how long, how much longer. Knows nothing of the steps themselves.

/** How far a step has come; without `total` only the count is shown. */
export interface Measure {
  readonly done: number;
  readonly total?: number;
  /** `bytes` is shown in megabytes, anything else as it is, for instance `packages`. */
  readonly unit: string;
}

/** One display; one step at a time. */
export interface Progress {
  /** Says which step is under way and how far it is. A new `what` starts a new step and its clock. */
  show(what: string, measure?: Measure): void;
  /** Leaves a line that stays, above whatever the display shows. */
  say(line: string): void;
  /** Ends the display and its timer; `show` starts it again. */
  end(): void;
}

export interface ProgressOptions {
  readonly write: (text: string) => void;
  /** Whether `write` goes to a terminal: then one line is rewritten, else a new line comes now and then. */
  readonly terminal: boolean;
  /** Width of the terminal; 80 unless said. */
  readonly columns?: () => number;
}

const TERMINAL_REFRESH_MS = 1_000;
const LINE_EVERY_MS = 15_000;
/** Rewriting more often than this costs time and cannot be read anyway. */
const TERMINAL_MIN_GAP_MS = 100;
/** Before these, an estimate is a guess and is not shown. */
const ESTIMATE_AFTER_MS = 3_000;
const ESTIMATE_AFTER_SHARE = 0.02;

interface Step {
  readonly what: string;
  readonly startedMs: number;
  measure: Measure | undefined;
  writtenMs: number;
}

/** Makes a display. Its timer never keeps the process alive. */
export function createProgress(options: ProgressOptions): Progress {
  const refreshMs = options.terminal ? TERMINAL_REFRESH_MS : LINE_EVERY_MS;
  let step: Step | undefined;
  let timer: NodeJS.Timeout | undefined;

  const draw = () => {
    if (!step) return;
    step.writtenMs = performance.now();
    const text = describeStep(step.what, step.measure, step.writtenMs - step.startedMs);
    if (options.terminal) options.write(`\r${text.slice(0, (options.columns?.() ?? 80) - 1)}\u001b[K`);
    else options.write(`${text}\n`);
  };
  const wipe = () => {
    if (options.terminal && step) options.write("\r\u001b[K");
  };

  return {
    show: (what, measure) => {
      const nowMs = performance.now();
      timer ??= setInterval(draw, refreshMs).unref();
      if (step?.what !== what) {
        step = { what, startedMs: nowMs, measure, writtenMs: nowMs };
        timer.refresh();
        draw();
        return;
      }
      step.measure = measure;
      if (options.terminal && nowMs - step.writtenMs >= TERMINAL_MIN_GAP_MS) draw();
    },
    say: (line) => {
      wipe();
      options.write(`${line}\n`);
      if (options.terminal) draw();
    },
    end: () => {
      wipe();
      clearInterval(timer);
      timer = undefined;
      step = undefined;
    },
  };
}

/** A display on a stream of this process, as its nature (terminal or not) demands. */
export function progressOn(stream: NodeJS.WriteStream): Progress {
  return createProgress({
    write: (text) => void stream.write(text),
    terminal: stream.isTTY,
    columns: () => stream.columns,
  });
}

/** One line about a step; the remaining time only once it can be known roughly. */
export function describeStep(what: string, measure: Measure | undefined, elapsedMs: number): string {
  const parts = measure === undefined ? [] : [describeMeasure(measure)];
  if (elapsedMs >= 1_000) parts.push(formatDuration(elapsedMs));
  const left = measure === undefined ? undefined : remainingMs(measure, elapsedMs);
  if (left !== undefined) parts.push(`about ${formatDuration(left)} left`);
  return parts.length === 0 ? `${what} …` : `${what}: ${parts.join(", ")}`;
}

/** `8 s`, `3 min 05 s`, `2 h 04 min`. */
export function formatDuration(durationMs: number): string {
  const seconds = Math.round(durationMs / 1_000);
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  const twoDigits = (value: number) => String(value).padStart(2, "0");
  if (minutes < 60) return `${minutes} min ${twoDigits(seconds % 60)} s`;
  return `${Math.floor(minutes / 60)} h ${twoDigits(minutes % 60)} min`;
}

function describeMeasure({ done, total, unit }: Measure): string {
  const isBytes = unit === "bytes";
  const amount = (value: number) => (isBytes ? (value / 1e6).toFixed(1) : value.toLocaleString("en"));
  const name = isBytes ? "MB" : unit;
  if (total === undefined) return `${amount(done)} ${name}`;
  const percent = total === 0 ? 100 : Math.floor((100 * done) / total);
  return `${amount(done)} of ${amount(total)} ${name} (${percent} %)`;
}

function remainingMs({ done, total }: Measure, elapsedMs: number): number | undefined {
  if (total === undefined || total === 0 || done >= total) return undefined;
  if (elapsedMs < ESTIMATE_AFTER_MS || done / total < ESTIMATE_AFTER_SHARE) return undefined;
  return (elapsedMs / done) * (total - done);
}
