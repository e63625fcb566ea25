// How to reach one Redfish service, as a person has set it; checks it before anything is sent. Knows no HTTP.

/** Where a service is and how to speak to it. */
export interface RedfishAccess {
  /** `https://host[:port]`; nothing else is spoken, since credentials go over it. */
  readonly address: string;
  /**
   * `ComputerSystem` to cut, by path (`/redfish/v1/Systems/1`) or by id (`1`). Needed unless the service has exactly
   * one: fencing never guesses.
   */
  readonly systemPath?: string;
  readonly systemId?: string;
  readonly username: string;
  readonly password: string;
  /** Certificate authorities to trust, PEM, instead of the system's. */
  readonly caPem?: string;
  /** Accept any certificate. Whoever is on the network path can then read the password and answer "Off". */
  readonly insecureSkipVerify?: boolean;
  /** `Auto`: a session where the service offers sessions, else Basic. `Auto` unless said. */
  readonly auth?: "Auto" | "Session" | "Basic";
}

export const SERVICE_ROOT = "/redfish/v1/";
export const STANDARD_SYSTEMS = "/redfish/v1/Systems";

export type Checked<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly message: string };

/** The origin (`https://host:port`) that every request must stay within, or what is wrong with the settings. */
export function checkAccess(access: RedfishAccess): Checked<string> {
  const wrong = (message: string) => ({ ok: false, message }) as const;
  if (!URL.canParse(access.address)) return wrong("address is not a URL: write https://host[:port]");
  const url = new URL(access.address);
  if (url.protocol !== "https:") return wrong(`address must begin with https://, not ${url.protocol}//`);
  if (url.username !== "" || url.password !== "") return wrong("address must not hold credentials");
  if (!/^\/(redfish(\/v1)?\/?)?$/.test(url.pathname)) {
    return wrong(
      "address must be the service's base, https://host[:port]: name the system by systemId or systemPath",
    );
  }
  if (access.systemPath !== undefined && access.systemId !== undefined) {
    return wrong("systemPath and systemId exclude each other");
  }
  if (access.systemPath !== undefined && !access.systemPath.startsWith("/")) {
    return wrong("systemPath must begin with /, for instance /redfish/v1/Systems/1");
  }
  if (access.username === "" || access.password === "")
    return wrong("username and password must not be empty");
  return { ok: true, value: url.origin };
}

/** The path that the settings name, or undefined where the service must be asked for its only system. */
export function namedSystemPath(access: RedfishAccess): string | undefined {
  if (access.systemPath !== undefined) return access.systemPath;
  return access.systemId === undefined
    ? undefined
    : `${STANDARD_SYSTEMS}/${encodeURIComponent(access.systemId)}`;
}

/**
 * The path of a link that the service gave, or undefined where it leads to another origin: credentials never follow.
 * Absolute URLs are accepted, since some services write them.
 */
export function pathWithin(origin: string, link: string, base = "/"): string | undefined {
  const from = `${origin}${base}`;
  if (!URL.canParse(link, from)) return undefined;
  const url = new URL(link, from);
  return url.origin === origin ? url.pathname + url.search : undefined;
}
