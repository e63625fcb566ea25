// Admission reviews as virt-api's webhooks speak them: what is asked, and the three shapes of an answer.
import { samePlain } from "../plain-data.ts";
import { SERVICE_ACCOUNTS, serviceAccountUser } from "./names.ts";

export interface AdmissionRequest {
  readonly uid: string;
  readonly operation: "CREATE" | "UPDATE" | "DELETE" | "CONNECT";
  readonly namespace?: string;
  readonly name?: string;
  readonly dryRun?: boolean;
  readonly userInfo: { readonly username?: string };
  readonly object?: unknown;
  readonly oldObject?: unknown;
}

export interface AdmissionAnswer {
  readonly allowed: boolean;
  readonly status?: object;
  readonly patchType?: "JSONPatch";
  readonly patch?: string;
}

export const ALLOWED: AdmissionAnswer = { allowed: true };

/** Refused with a bare message: the client sees 400 without a reason (measured, table b), or the code named. */
export function refused(message: string, code = 400): AdmissionAnswer {
  return { allowed: false, status: { message, code } };
}

/** Refused as invalid: the client sees 422 (KubeVirt webhooks.ToAdmissionResponse). */
export function invalid(message: string, field?: string): AdmissionAnswer {
  const causes = [{ message, ...(field === undefined ? {} : { field }) }];
  return { allowed: false, status: { message, reason: "Invalid", code: 422, details: { causes } } };
}

/** Allowed with these members replaced; unchanged members make no patch. */
export function mutated(old: object, members: Readonly<Record<string, unknown>>): AdmissionAnswer {
  const current = old as Readonly<Record<string, unknown>>;
  const operations = Object.entries(members)
    .filter(([member, value]) => !samePlain(current[member], value))
    .map(([member, value]) => ({ op: member in current ? "replace" : "add", path: `/${member}`, value }));
  if (operations.length === 0) return ALLOWED;
  const patch = Buffer.from(JSON.stringify(operations)).toString("base64");
  return { allowed: true, patchType: "JSONPatch", patch };
}

const KUBEVIRT_USERS: ReadonlySet<string> = new Set(Object.values(SERVICE_ACCOUNTS).map(serviceAccountUser));

/** The writer is one of KubeVirt's own service accounts. */
export function isKubeVirtUser(request: AdmissionRequest): boolean {
  return KUBEVIRT_USERS.has(request.userInfo.username ?? "");
}

export function isVirtController(request: AdmissionRequest): boolean {
  return request.userInfo.username === serviceAccountUser(SERVICE_ACCOUNTS.controller);
}
