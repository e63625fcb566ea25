// Issues ECDSA P-256 certificates. Synchronous, because a KubeConfig for a new identity must be; knows no Kubernetes.
import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from "node:crypto";
import { der, derInteger, derObjectIdentifier, derTime, ipAddressBytes, Tag } from "./der.ts";

/** A certificate with its private key, both PEM. */
export interface KeyedCertificate {
  readonly certPem: string;
  readonly keyPem: string;
}

/** What a certificate is for; `hosts` are DNS names and IP addresses. */
interface CertificateRequest {
  readonly commonName: string;
  readonly organizations?: readonly string[];
  readonly hosts?: readonly string[];
  readonly usages: readonly ("serverAuth" | "clientAuth")[];
}

/** Signs certificates with a key that never leaves this process except through `keyPem`. */
export interface CertificateAuthority extends KeyedCertificate {
  issue(request: CertificateRequest): KeyedCertificate;
}

const VALIDITY_MS = 365 * 24 * 3600_000;
/** Backdating, so that a clock stepped back a little does not make a fresh certificate invalid. */
const BACKDATE_MS = 3600_000;
const ECDSA_WITH_SHA256 = der(Tag.sequence, derObjectIdentifier("1.2.840.10045.4.3.2"));
const USAGE_OIDS = { serverAuth: "1.3.6.1.5.5.7.3.1", clientAuth: "1.3.6.1.5.5.7.3.2" } as const;

interface KeyPair {
  readonly privateKey: KeyObject;
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKeyInfo: Buffer;
  readonly keyId: Buffer;
}

/** Makes a new self-signed authority. */
export function createCertificateAuthority(commonName: string): CertificateAuthority {
  const keys = generateKeys();
  const name = encodeName(commonName, []);
  const certPem = signCertificate({
    issuer: name,
    issuerKeys: keys,
    subject: name,
    subjectKeys: keys,
    extensions: [
      extension("2.5.29.19", der(Tag.sequence, der(Tag.boolean, Buffer.from([0xff]))), "critical"),
      // digitalSignature, keyCertSign, cRLSign.
      extension("2.5.29.15", der(Tag.bitString, Buffer.from([1, 0x86])), "critical"),
    ],
  });
  return {
    certPem,
    keyPem: keyPemOf(keys),
    issue: (request) => {
      const subjectKeys = generateKeys();
      return {
        certPem: signCertificate({
          issuer: name,
          issuerKeys: keys,
          subject: encodeName(request.commonName, request.organizations ?? []),
          subjectKeys,
          extensions: leafExtensions(request),
        }),
        keyPem: keyPemOf(subjectKeys),
      };
    },
  };
}

/** A bare ECDSA P-256 pair, as the ServiceAccount token signer wants it. */
export function createSigningKeys(): { readonly privatePem: string; readonly publicPem: string } {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return {
    // SEC1, not PKCS#8: one form that every Kubernetes component reads for token keys.
    privatePem: privateKey.export({ type: "sec1", format: "pem" }).toString(),
    publicPem: publicKey.export({ type: "spki", format: "pem" }).toString(),
  };
}

function generateKeys(): KeyPair {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const publicKeyInfo = publicKey.export({ type: "spki", format: "der" });
  // The last 65 bytes of a P-256 SubjectPublicKeyInfo are the point itself, which RFC 5280's key id hashes.
  const keyId = createHash("sha1").update(publicKeyInfo.subarray(-65)).digest();
  return { privateKey, publicKeyInfo, keyId };
}

function keyPemOf(keys: KeyPair): string {
  return keys.privateKey.export({ type: "pkcs8", format: "pem" }).toString();
}

function leafExtensions(request: CertificateRequest): Buffer[] {
  const usages = request.usages.map((usage) => derObjectIdentifier(USAGE_OIDS[usage]));
  const extensions = [
    extension("2.5.29.15", der(Tag.bitString, Buffer.from([7, 0x80])), "critical"),
    extension("2.5.29.37", der(Tag.sequence, ...usages)),
  ];
  const hosts = request.hosts ?? [];
  if (hosts.length > 0) {
    const names = hosts.map((host) => {
      const address = ipAddressBytes(host);
      return address ? der(0x87, address) : der(0x82, Buffer.from(host));
    });
    extensions.push(extension("2.5.29.17", der(Tag.sequence, ...names)));
  }
  return extensions;
}

function encodeName(commonName: string, organizations: readonly string[]): Buffer {
  const attribute = (oid: string, value: string) =>
    der(
      Tag.set,
      der(Tag.sequence, derObjectIdentifier(oid), der(Tag.utf8String, Buffer.from(value, "utf8"))),
    );
  return der(
    Tag.sequence,
    ...organizations.map((organization) => attribute("2.5.4.10", organization)),
    attribute("2.5.4.3", commonName),
  );
}

function extension(oid: string, value: Buffer, critical?: "critical"): Buffer {
  const flag = critical ? [der(Tag.boolean, Buffer.from([0xff]))] : [];
  return der(Tag.sequence, derObjectIdentifier(oid), ...flag, der(Tag.octetString, value));
}

function signCertificate(parts: {
  readonly issuer: Buffer;
  readonly issuerKeys: KeyPair;
  readonly subject: Buffer;
  readonly subjectKeys: KeyPair;
  readonly extensions: readonly Buffer[];
}): string {
  const nowMs = Date.now();
  const extensions = [
    ...parts.extensions,
    extension("2.5.29.14", der(Tag.octetString, parts.subjectKeys.keyId)),
    extension("2.5.29.35", der(Tag.sequence, der(0x80, parts.issuerKeys.keyId))),
  ];
  const toBeSigned = der(
    Tag.sequence,
    der(0xa0, derInteger(Buffer.from([2]))),
    derInteger(randomBytes(16)),
    ECDSA_WITH_SHA256,
    parts.issuer,
    der(Tag.sequence, derTime(new Date(nowMs - BACKDATE_MS)), derTime(new Date(nowMs + VALIDITY_MS))),
    parts.subject,
    parts.subjectKeys.publicKeyInfo,
    der(0xa3, der(Tag.sequence, ...extensions)),
  );
  const signature = sign("sha256", toBeSigned, parts.issuerKeys.privateKey);
  const certificate = der(
    Tag.sequence,
    toBeSigned,
    ECDSA_WITH_SHA256,
    der(Tag.bitString, Buffer.from([0]), signature),
  );
  const lines = certificate.toString("base64").match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`;
}
