// A proxy in front of a lab API server whose faults are switched at run time: on connections, on requests, inside
// watches. Who asks stays who asks: the client's certificate is passed on as the front proxy of the API server does it.
//
//   const proxy = await startFaultProxy(controlPlane);
//   const transport = proxy.transportFor({ user: "system:serviceaccount:holdfast:holdfast" });
//   await proxy.lose();                                     // the machine behind every connection dies, new ones are mute
//   proxy.resetAll();                                       // RST on every open connection, once
//   const lift = proxy.add({ match: (r) => r.isWatch, times: 3, fault: { kind: "cut", afterEvents: 2, how: "expire" } });
//   await proxy.heal();                                     // all faults off
//   await proxy.stop();
import { createServer, type Server } from "node:https";
import type { IncomingMessage, ServerResponse } from "node:http";
import { KubeConfig } from "@kubernetes/client-node";
import { createHttpTransport } from "../../src/kube/http-transport.ts";
import type { ApiTransport } from "../../src/kube/transport.ts";
import type { ControlPlane, Identity } from "../control-plane/start.ts";
import { ConnectionGate, type Trickle } from "./connection-gate.ts";
import { answerStatus, cutWatch, type ProxiedRequest, type RequestFault } from "./request-fault.ts";
import { endToEnd, subjectOf, Upstream } from "./upstream.ts";

export type { ProxiedRequest, RequestFault } from "./request-fault.ts";
export type { Trickle } from "./connection-gate.ts";

/** A fault for the requests that match. Of several rules that match, the one added first strikes. */
export interface FaultRule {
  /** Every request unless said. */
  readonly match?: (request: ProxiedRequest) => boolean;
  /** How many requests it strikes; without end unless said. */
  readonly times?: number;
  readonly fault: RequestFault;
}

/** A running proxy. Faults of different sorts add up; `heal` ends them all. */
export interface FaultProxy {
  /** `https://127.0.0.1:PORT`, with a certificate of the cluster's authority. */
  readonly server: string;
  /** Open client connections, mute ones too. */
  readonly connections: number;
  kubeConfigFor(identity: Identity): KubeConfig;
  /** A transport through the proxy; closed by `stop()` at the latest. */
  transportFor(identity: Identity): ApiTransport;
  /** New connections are refused; open ones go on. */
  refuse(): Promise<void>;
  /** Nothing passes, in either direction, on old and new connections; after `heal` everything held back does. */
  stall(): Promise<void>;
  /** As `stall`, but connections that were open meanwhile stay mute for ever: a server that lost power, half-open. */
  lose(): Promise<void>;
  /** Answers come in small pieces. */
  slow(trickle: Trickle): void;
  /** Ends every open connection with RST, once. */
  resetAll(): void;
  /** Ends every open connection with FIN, once. */
  endAll(): void;
  /** Adds a rule; answers with how to take it back. */
  add(rule: FaultRule): () => void;
  heal(): Promise<void>;
  stop(): Promise<void>;
}

/** Starts a proxy in front of a control plane, healthy. `onRequest` is told of every request that reaches it. */
export async function startFaultProxy(
  controlPlane: ControlPlane,
  options: { readonly onRequest?: (request: ProxiedRequest) => void } = {},
): Promise<FaultProxy> {
  const upstream = await Upstream.to(controlPlane);
  const rules: { readonly rule: FaultRule; left: number }[] = [];
  const handle = (request: IncomingMessage, response: ServerResponse) => {
    const seen = readRequest(request);
    options.onRequest?.(seen);
    const struck = rules.find(({ rule, left }) => left > 0 && (rule.match?.(seen) ?? true));
    if (struck) struck.left--;
    void strike({ request, response, seen, upstream, fault: struck?.rule.fault });
  };
  const inner = await listenInside(controlPlane, handle);
  const gate = new ConnectionGate(inner.port);
  await gate.listen();
  const server = `https://127.0.0.1:${gate.port}`;
  const transports: ApiTransport[] = [];
  const kubeConfigFor = (identity: Identity) => redirected(controlPlane.kubeConfigFor(identity), server);
  return {
    server,
    get connections() {
      return gate.connections;
    },
    kubeConfigFor,
    transportFor: (identity) => {
      const transport = createHttpTransport(kubeConfigFor(identity), { userAgent: "holdfast-lab" });
      transports.push(transport);
      return transport;
    },
    refuse: () => gate.setMode("refusing"),
    stall: () => gate.setMode("stalled"),
    lose: () => gate.setMode("losing"),
    slow: (trickle) => {
      gate.trickle = trickle;
    },
    resetAll: () => gate.endAll("reset"),
    endAll: () => gate.endAll("end"),
    add: (rule) => {
      const entry = { rule, left: rule.times ?? Number.POSITIVE_INFINITY };
      rules.push(entry);
      return () => {
        entry.left = 0;
      };
    },
    heal: async () => {
      rules.length = 0;
      gate.trickle = undefined;
      await gate.setMode("open");
    },
    stop: async () => {
      await Promise.all(transports.splice(0).map((transport) => transport.close()));
      await gate.close();
      inner.server.closeAllConnections();
      inner.server.close();
      upstream.close();
    },
  };
}

async function strike(call: {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly seen: ProxiedRequest;
  readonly upstream: Upstream;
  readonly fault: RequestFault | undefined;
}): Promise<void> {
  const { request, response, seen, upstream, fault } = call;
  if (fault?.kind === "answer") return answerStatus(response, fault);
  if (fault?.kind === "silence") return;
  if (fault?.kind === "delay")
    await new Promise((resolve) => {
      setTimeout(resolve, fault.delayMs);
    });
  const answer = await upstream.forward(request, response);
  // As a load balancer does whose last backend is gone.
  if (answer === undefined) return response.headersSent ? undefined : void response.destroy();
  if (fault?.kind === "loseAnswer") {
    answer.resume().once("close", () => response.destroy());
    return;
  }
  response.writeHead(answer.statusCode ?? 502, endToEnd(answer.headers));
  if (fault?.kind === "cut" && seen.isWatch) return cutWatch(answer, response, fault);
  response.flushHeaders();
  answer.on("error", () => response.destroy());
  // A server that breaks off must not look to the client like one that has finished.
  answer.on("close", () => (answer.complete ? undefined : response.destroy()));
  answer.pipe(response);
}

function readRequest(request: IncomingMessage): ProxiedRequest {
  const url = new URL(request.url ?? "/", "https://proxy");
  return {
    method: request.method ?? "GET",
    path: url.pathname,
    query: url.searchParams,
    isWatch: url.searchParams.get("watch") === "true",
    user: subjectOf(request)?.user ?? "",
  };
}

async function listenInside(
  controlPlane: ControlPlane,
  handle: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<{ readonly server: Server; readonly port: number }> {
  const { certPem, keyPem } = controlPlane.certificateFor({
    commonName: "fault-proxy",
    hosts: ["127.0.0.1", "localhost"],
  });
  const options = { cert: certPem, key: keyPem, ca: controlPlane.caPem };
  const server = createServer({ ...options, requestCert: true, rejectUnauthorized: false }, handle);
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the proxy has no port");
  return { server, port: address.port };
}

function redirected(kubeConfig: KubeConfig, server: string): KubeConfig {
  const copy = new KubeConfig();
  copy.loadFromOptions({
    clusters: kubeConfig.clusters.map((cluster) => ({ ...cluster, server })),
    users: kubeConfig.users,
    contexts: kubeConfig.contexts,
    currentContext: kubeConfig.currentContext,
  });
  return copy;
}
