// The stand-in's virt-api: an HTTPS server that answers admission reviews and the aggregated subresource API.
import { createServer, type Server } from "node:https";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { ApiTransport } from "../../src/kube/transport.ts";
import type { AdmissionRequest } from "./admission.ts";
import type { Settings } from "./controller-view.ts";
import { SUBRESOURCES_GROUP } from "./names.ts";
import type { SubresourceAnswer } from "./subresources.ts";
import { SUBRESOURCES, WEBHOOKS } from "./virt-api-routes.ts";
import type { Webhook } from "./webhooks.ts";

/** Largest request body read; an object cannot be larger in etcd. */
const MAX_BODY_BYTES = 8 * 1024 * 1024;

const VERSION_PATH = `/apis/${SUBRESOURCES_GROUP}/v1`;
const SUBRESOURCE_PATH = new RegExp(
  `^${VERSION_PATH}/namespaces/([^/]+)/(virtualmachines|virtualmachineinstances)/([^/]+)/(.+)$`,
);

export interface VirtApiOptions {
  /** Speaks as virt-api's service account. */
  readonly api: ApiTransport;
  readonly settings: () => Settings;
  readonly certPem: string;
  readonly keyPem: string;
}

export interface VirtApi {
  readonly port: number;
  stop(): Promise<void>;
}

/** Listens on a free loopback port. */
export async function startVirtApi(options: VirtApiOptions): Promise<VirtApi> {
  const server = createServer({ cert: options.certPem, key: options.keyPem }, (request, response) => {
    void answer(request, response, options);
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  server.unref();
  const address = server.address();
  if (typeof address !== "object" || address === null) throw new Error("the stand-in's virt-api has no port");
  return { port: address.port, stop: () => stop(server) };
}

function stop(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  options: VirtApiOptions,
): Promise<void> {
  try {
    const url = new URL(request.url ?? "/", "https://virt-api");
    const body = await readJson(request);
    const webhook = WEBHOOKS[url.pathname];
    if (webhook) return send(response, 200, await review(webhook, body, options));
    const document = discovery(url.pathname);
    if (document) return send(response, 200, document);
    const [, namespace = "", resource = "", name = "", verb = ""] = SUBRESOURCE_PATH.exec(url.pathname) ?? [];
    const subresource = SUBRESOURCES[`${resource}/${verb}`];
    if (!subresource || request.method !== "PUT")
      return sendStatus(response, { status: 404, reason: "NotFound" });
    // KubeVirt's routes name no JSON answer: a client that takes nothing else is turned away (measured, table n).
    const accept = request.headers.accept ?? "*/*";
    if (!accept.includes("*/*")) return void response.writeHead(406).end("406: Not Acceptable");
    const { api, settings } = options;
    const call = { api, settings, namespace, name, body: body ?? {} };
    sendStatus(response, await subresource(call));
  } catch (error) {
    sendStatus(response, { status: 500, reason: "InternalError", message: String(error) });
  }
}

async function review(webhook: Webhook, body: unknown, options: VirtApiOptions): Promise<object> {
  const { request } = body as { request: AdmissionRequest };
  const answer = await webhook(request, { api: options.api, settings: options.settings });
  return {
    apiVersion: "admission.k8s.io/v1",
    kind: "AdmissionReview",
    response: { uid: request.uid, ...answer },
  };
}

async function readJson(request: IncomingMessage): Promise<object | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request) {
    const buffer = chunk as Buffer;
    bytes += buffer.length;
    if (bytes > MAX_BODY_BYTES) throw new Error("the request body is too large");
    chunks.push(buffer);
  }
  const text = Buffer.concat(chunks).toString("utf8");
  return text === "" ? undefined : (JSON.parse(text) as object);
}

/** The documents a client asks for before it uses an API group. */
function discovery(path: string): object | undefined {
  if (path === `${VERSION_PATH}/healthz`) return { apiserver: { connectivity: "ok" } };
  const version = { groupVersion: `${SUBRESOURCES_GROUP}/v1`, version: "v1" };
  const group = { name: SUBRESOURCES_GROUP, versions: [version], preferredVersion: version };
  if (path === "/apis") return { kind: "APIGroupList", apiVersion: "v1", groups: [group] };
  if (path === `/apis/${SUBRESOURCES_GROUP}`) return { kind: "APIGroup", apiVersion: "v1", ...group };
  if (path !== VERSION_PATH) return undefined;
  const resources = Object.keys(SUBRESOURCES).map((name) => ({
    name,
    singularName: "",
    namespaced: true,
    kind: "",
    verbs: ["update"],
  }));
  return { kind: "APIResourceList", apiVersion: "v1", groupVersion: version.groupVersion, resources };
}

function sendStatus(response: ServerResponse, answer: SubresourceAnswer): void {
  if (answer.status < 300) return void response.writeHead(answer.status).end();
  const { status: code, reason, message } = answer;
  send(response, code, {
    kind: "Status",
    apiVersion: "v1",
    metadata: {},
    status: "Failure",
    message,
    reason,
    code,
  });
}

function send(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}
