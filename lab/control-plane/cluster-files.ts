// Keys, certificates and kubeconfigs of one lab cluster, in memory and as the files its components read.
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { KubeConfig } from "@kubernetes/client-node";
import {
  type CertificateAuthority,
  createCertificateAuthority,
  createSigningKeys,
  type KeyedCertificate,
} from "./certificate-authority.ts";

/** Who a client certificate speaks for. */
export interface Identity {
  /** User name, the certificate's common name; any name works, `system:serviceaccount:ns:name` and `system:node:x` too. */
  readonly user: string;
  /** Groups, the certificate's organizations; `system:authenticated` comes by itself. */
  readonly groups?: readonly string[];
  /** Not carried: a client certificate has no place for it. Ask the TokenRequest API where extra matters. */
  readonly extra?: Record<string, string[]>;
}

/** The authorities of one cluster and where its files lie. */
export interface ClusterFiles {
  readonly clusterAuthority: CertificateAuthority;
  readonly pki: string;
  readonly adminKubeconfig: string;
  readonly controllerManagerKubeconfig: string;
  readonly schedulerKubeconfig: string;
  readonly authenticationConfig: string;
}

/** First address of the service range belongs to the API server's own Service. */
export const SERVICE_CLUSTER_IP_RANGE = "10.96.0.0/16";
const API_SERVICE_IP = "10.96.0.1";

/** Anonymous requests may ask for health and nothing else. */
const AUTHENTICATION_CONFIG = {
  apiVersion: "apiserver.config.k8s.io/v1",
  kind: "AuthenticationConfiguration",
  anonymous: {
    enabled: true,
    conditions: [{ path: "/livez" }, { path: "/readyz" }, { path: "/healthz" }],
  },
};

/** Creates the authorities and writes every file below `directory`. */
export async function writeClusterFiles(directory: string, server: string): Promise<ClusterFiles> {
  const pki = join(directory, "pki");
  await mkdir(pki, { recursive: true, mode: 0o700 });
  const clusterAuthority = createCertificateAuthority("holdfast-lab");
  // An authority of its own: with a shared one any client certificate could claim to be the aggregator.
  const frontProxyAuthority = createCertificateAuthority("holdfast-lab-front-proxy");
  const serviceAccountKeys = createSigningKeys();
  const files: ClusterFiles = {
    clusterAuthority,
    pki,
    adminKubeconfig: join(directory, "admin.kubeconfig"),
    controllerManagerKubeconfig: join(directory, "kube-controller-manager.kubeconfig"),
    schedulerKubeconfig: join(directory, "kube-scheduler.kubeconfig"),
    authenticationConfig: join(directory, "authentication.json"),
  };
  const kubeconfig = (identity: Identity) => kubeConfigOf(clusterAuthority, server, identity).exportConfig();
  const masters = ["system:masters"];
  await Promise.all([
    ...writePair(pki, "ca", clusterAuthority),
    ...writePair(pki, "front-proxy-ca", frontProxyAuthority),
    ...writePair(
      pki,
      "front-proxy-client",
      frontProxyAuthority.issue({ commonName: "front-proxy-client", usages: ["clientAuth"] }),
    ),
    ...writePair(
      pki,
      "serving",
      clusterAuthority.issue({
        commonName: "kube-apiserver",
        hosts: ["127.0.0.1", "localhost", API_SERVICE_IP, "kubernetes", "kubernetes.default.svc"],
        usages: ["serverAuth"],
      }),
    ),
    writePrivate(join(pki, "service-account.key"), serviceAccountKeys.privatePem),
    writePrivate(join(pki, "service-account.pub"), serviceAccountKeys.publicPem),
    writePrivate(files.adminKubeconfig, kubeconfig({ user: "admin", groups: masters })),
    // Every controller runs as this one user, whose own role covers only a few of them; hence system:masters.
    writePrivate(
      files.controllerManagerKubeconfig,
      kubeconfig({ user: "system:kube-controller-manager", groups: masters }),
    ),
    writePrivate(files.schedulerKubeconfig, kubeconfig({ user: "system:kube-scheduler" })),
    writePrivate(files.authenticationConfig, JSON.stringify(AUTHENTICATION_CONFIG)),
  ]);
  return files;
}

/** A KubeConfig whose only user is `identity`, with a client certificate made for it. */
export function kubeConfigOf(
  authority: CertificateAuthority,
  server: string,
  identity: Identity,
): KubeConfig {
  const { certPem, keyPem } = authority.issue({
    commonName: identity.user,
    ...(identity.groups === undefined ? {} : { organizations: identity.groups }),
    usages: ["clientAuth"],
  });
  const base64 = (pem: string) => Buffer.from(pem).toString("base64");
  const kubeConfig = new KubeConfig();
  kubeConfig.loadFromClusterAndUser(
    { name: "holdfast-lab", server, caData: base64(authority.certPem), skipTLSVerify: false },
    { name: identity.user, certData: base64(certPem), keyData: base64(keyPem) },
  );
  return kubeConfig;
}

function writePair(directory: string, name: string, pair: KeyedCertificate): Promise<void>[] {
  return [
    writePrivate(join(directory, `${name}.crt`), pair.certPem),
    writePrivate(join(directory, `${name}.key`), pair.keyPem),
  ];
}

function writePrivate(path: string, content: string): Promise<void> {
  return writeFile(path, content, { mode: 0o600 });
}
