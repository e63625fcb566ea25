// Command lines of the four components. Everything is bound to loopback; defaults stay as they are unless a lab needs otherwise.
import { join } from "node:path";
import { type ClusterFiles, SERVICE_CLUSTER_IP_RANGE } from "./cluster-files.ts";

/** Loopback ports of one cluster. */
export interface ClusterPorts {
  readonly etcdClient: number;
  readonly etcdPeer: number;
  readonly apiServer: number;
  readonly controllerManager: number;
  readonly scheduler: number;
}

/** etcd with one member that never waits for the disk: its data dies with the lab anyway. */
export function etcdFlags(directory: string, ports: ClusterPorts): string[] {
  const client = `http://127.0.0.1:${ports.etcdClient}`;
  const peer = `http://127.0.0.1:${ports.etcdPeer}`;
  return [
    "--name=lab",
    `--data-dir=${join(directory, "etcd")}`,
    "--unsafe-no-fsync=true",
    `--listen-client-urls=${client}`,
    `--advertise-client-urls=${client}`,
    `--listen-peer-urls=${peer}`,
    `--initial-advertise-peer-urls=${peer}`,
    `--initial-cluster=lab=${peer}`,
    "--log-level=warn",
  ];
}

/** kube-apiserver with Node and RBAC authorization, and the aggregation layer ready for APIServices. */
export function apiServerFlags(files: ClusterFiles, ports: ClusterPorts): string[] {
  const pki = (name: string) => join(files.pki, name);
  return [
    `--etcd-servers=http://127.0.0.1:${ports.etcdClient}`,
    "--bind-address=127.0.0.1",
    "--advertise-address=127.0.0.1",
    `--secure-port=${ports.apiServer}`,
    // A loopback address is refused as an endpoint; without this the log fills with that refusal.
    "--endpoint-reconciler-type=none",
    `--tls-cert-file=${pki("serving.crt")}`,
    `--tls-private-key-file=${pki("serving.key")}`,
    `--client-ca-file=${pki("ca.crt")}`,
    `--authentication-config=${files.authenticationConfig}`,
    "--authorization-mode=Node,RBAC",
    "--disable-admission-plugins=NodeRestriction",
    "--allow-privileged=true",
    `--service-cluster-ip-range=${SERVICE_CLUSTER_IP_RANGE}`,
    "--service-account-issuer=https://kubernetes.default.svc",
    `--service-account-key-file=${pki("service-account.pub")}`,
    `--service-account-signing-key-file=${pki("service-account.key")}`,
    `--requestheader-client-ca-file=${pki("front-proxy-ca.crt")}`,
    "--requestheader-allowed-names=front-proxy-client",
    "--requestheader-username-headers=X-Remote-User",
    "--requestheader-group-headers=X-Remote-Group",
    "--requestheader-extra-headers-prefix=X-Remote-Extra-",
    `--proxy-client-cert-file=${pki("front-proxy-client.crt")}`,
    `--proxy-client-key-file=${pki("front-proxy-client.key")}`,
    "--enable-aggregator-routing=false",
    // Ends open watches on SIGTERM; without it the server waits a minute for clients that never hang up.
    "--shutdown-watch-termination-grace-period=1s",
    "--profiling=false",
    "--event-ttl=1h",
  ];
}

/** kube-controller-manager with its default controllers and default timings. */
export function controllerManagerFlags(files: ClusterFiles, ports: ClusterPorts): string[] {
  const pki = (name: string) => join(files.pki, name);
  return [
    `--kubeconfig=${files.controllerManagerKubeconfig}`,
    ...servingFlags(files, ports.controllerManager),
    "--leader-elect=false",
    "--use-service-account-credentials=false",
    "--allocate-node-cidrs=false",
    `--root-ca-file=${pki("ca.crt")}`,
    `--service-account-private-key-file=${pki("service-account.key")}`,
    `--cluster-signing-cert-file=${pki("ca.crt")}`,
    `--cluster-signing-key-file=${pki("ca.key")}`,
  ];
}

/** kube-scheduler with its default profile. */
export function schedulerFlags(files: ClusterFiles, ports: ClusterPorts): string[] {
  return [
    `--kubeconfig=${files.schedulerKubeconfig}`,
    ...servingFlags(files, ports.scheduler),
    "--leader-elect=false",
  ];
}

function servingFlags(files: ClusterFiles, port: number): string[] {
  return [
    "--bind-address=127.0.0.1",
    `--secure-port=${port}`,
    `--tls-cert-file=${join(files.pki, "serving.crt")}`,
    `--tls-private-key-file=${join(files.pki, "serving.key")}`,
    "--profiling=false",
  ];
}
