// Who the API server takes the person for: what goes into records that ask for a name.
import { z } from "zod";
import type { ApiOutcome, ApiTransport } from "../kube/transport.ts";

const review = z.object({ status: z.object({ userInfo: z.object({ username: z.string().min(1) }) }) });

/** The user name from a SelfSubjectReview: the server's word, not the kubeconfig's. */
export async function whoami(transport: ApiTransport): Promise<ApiOutcome<string>> {
  const asked = await transport.request<unknown>({
    method: "POST",
    path: "/apis/authentication.k8s.io/v1/selfsubjectreviews",
    body: { apiVersion: "authentication.k8s.io/v1", kind: "SelfSubjectReview" },
  });
  if (!asked.ok) return asked;
  const parsed = review.safeParse(asked.value);
  if (parsed.success) return { ok: true, status: 201, value: parsed.data.status.userInfo.username };
  const message = "the API server's SelfSubjectReview names no user";
  return { ok: false, kind: "unexpected", status: asked.status, message };
}
