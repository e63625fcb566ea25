// Wall time as Kubernetes objects spell it. For people; no age is judged by it.

/** RFC 3339 in UTC with milliseconds, as our own objects have it. */
export function timestampOf(wallMs: number): string {
  return new Date(wallMs).toISOString();
}

/** RFC 3339 in whole seconds, as `metav1.Time` has it. */
export function secondsOf(wallMs: number): string {
  return `${timestampOf(wallMs).slice(0, 19)}Z`;
}
