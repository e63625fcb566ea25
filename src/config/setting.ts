// What a setting is, and the kinds of values settings can have. Knows no particular setting.
import { z } from "zod";
import type { NodeLimit } from "../model/decision-policy.ts";
import { formatDuration, parseDuration } from "./duration.ts";

/** What a setting says of itself, wherever it is shown. */
export interface SettingText {
  readonly group: string;
  /** One sentence or two: what it does, and what happens when it is chosen wrong. */
  readonly help: string;
  readonly example?: string;
}

export interface Setting<T> extends SettingText {
  /** Reads what was written. Issues are not shown: `allowed` says what would have been right. */
  readonly schema: z.ZodType<T, string>;
  /** What may be written, in words that follow "allowed:". */
  readonly allowed: string;
  /** Stands for the value in `--flag=PLACEHOLDER`. */
  readonly placeholder: string;
  /** As it would be written; or a value that cannot be written, with words for it. */
  readonly default: { readonly text: string } | { readonly value: T; readonly words: string };
  /** May be given as `--flag` alone, meaning true. */
  readonly bare?: boolean;
}

type Described<T> = SettingText & { readonly default: Setting<T>["default"] };

/** A duration in milliseconds. */
export function durationSetting(
  limits: { readonly minMs: number; readonly maxMs: number },
  text: SettingText & { readonly default: string },
): Setting<number> {
  const { minMs, maxMs } = limits;
  return {
    ...text,
    schema: z
      .string()
      .transform((written) => parseDuration(written) ?? Number.NaN)
      .pipe(z.number().min(minMs).max(maxMs)),
    allowed: `a duration from ${formatDuration(minMs)} to ${formatDuration(maxMs)}, such as ${text.default} or 1m30s`,
    placeholder: "DURATION",
    default: { text: text.default },
  };
}

/** A whole number. `T` is wider than number where its absence means something. */
export function countSetting<T = number>(
  limits: { readonly min: number; readonly max: number },
  text: Described<T | number>,
): Setting<T | number> {
  return {
    ...text,
    schema: z
      .string()
      .regex(/^\d+$/)
      .transform(Number)
      .pipe(z.number().int().min(limits.min).max(limits.max)),
    allowed: `a whole number from ${limits.min} to ${limits.max}`,
    placeholder: "COUNT",
  };
}

/** A number of nodes, or a share of all. */
export function nodeLimitSetting(text: SettingText & { readonly default: string }): Setting<NodeLimit> {
  return {
    ...text,
    schema: z
      .string()
      .regex(/^(?:[1-9]\d{0,4}|(?:[1-9]\d?|100)%)$/)
      .transform(
        (written): NodeLimit =>
          written.endsWith("%") ? { percent: Number(written.slice(0, -1)) } : { count: Number(written) },
      ),
    allowed: "a number of nodes from 1 to 99999, or a share from 1% to 100%",
    placeholder: "NODES",
    default: { text: text.default },
  };
}

/** True or false. */
export function booleanSetting(text: SettingText & { readonly default: string }): Setting<boolean> {
  return {
    ...text,
    schema: z.enum(["true", "false"]).transform((written) => written === "true"),
    allowed: "true or false",
    placeholder: "BOOL",
    default: { text: text.default },
    bare: true,
  };
}

/** One of a few words. */
export function choiceSetting<const C extends string>(
  choices: readonly [C, ...C[]],
  text: SettingText & { readonly default: C },
): Setting<C> {
  return {
    ...text,
    schema: z.string().pipe(z.enum(choices)),
    allowed: `one of ${choices.join(", ")}`,
    placeholder: "WORD",
    default: { text: text.default },
  };
}

/** Text of a certain form. */
export function textSetting<T = string>(
  form: { readonly pattern: RegExp; readonly allowed: string; readonly placeholder: string },
  text: Described<T | string>,
): Setting<T | string> {
  const { pattern, allowed, placeholder } = form;
  return { ...text, schema: z.string().regex(pattern), allowed, placeholder };
}

/** Where a server listens; an undefined host is every address of the machine. */
export interface ListenAddress {
  readonly host: string | undefined;
  readonly port: number;
}

const MAX_PORT = 65_535;

/** `:8080`, `127.0.0.1:8080`, `[::1]:8080`. */
export function addressSetting(text: SettingText & { readonly default: string }): Setting<ListenAddress> {
  const form = /^(?:\[([0-9a-fA-F:.]+)\]|([^\s:[\]]*)):(\d{1,5})$/;
  return {
    ...text,
    schema: z
      .string()
      .regex(form)
      .transform((written): ListenAddress => {
        const [, ipv6, host, port] = form.exec(written) ?? [];
        return { host: ipv6 ?? (host === "" ? undefined : host), port: Number(port) };
      })
      .refine(({ port }) => port <= MAX_PORT),
    allowed: `[HOST]:PORT with a port from 0 (any free one) to ${MAX_PORT}, such as :8080, 127.0.0.1:8080 or [::1]:8080`,
    placeholder: "[HOST]:PORT",
    default: { text: text.default },
  };
}
