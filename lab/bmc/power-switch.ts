// What a baseboard management controller can do to one machine; knows neither Redfish nor Kubernetes.

/** The mains switch of one machine. `off` takes effect before its promise settles; `on` only begins the boot. */
export interface PowerSwitch {
  /** The state at this instant, never a remembered wish. */
  read(): "On" | "Off";
  off(): Promise<void>;
  on(): Promise<void>;
}
