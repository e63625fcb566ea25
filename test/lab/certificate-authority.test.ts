// Certificates as OpenSSL (through Node) reads them, and a TLS handshake with them.
import { X509Certificate } from "node:crypto";
import { connect, createServer, type TLSSocket } from "node:tls";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { describe, expect, it } from "vitest";
import { createCertificateAuthority } from "../../lab/control-plane/certificate-authority.ts";
import { derInteger, derObjectIdentifier, derTime, ipAddressBytes } from "../../lab/control-plane/der.ts";

const authority = createCertificateAuthority("test-authority");

describe("the certificate authority", () => {
  it("signs itself, as an authority and nothing else", () => {
    const certificate = new X509Certificate(authority.certPem);
    expect(certificate.ca).toBe(true);
    expect(certificate.verify(certificate.publicKey)).toBe(true);
    expect(certificate.subject).toBe("CN=test-authority");
  });

  it("writes user and groups where Kubernetes reads them, whatever characters they have", () => {
    const { certPem } = authority.issue({
      commonName: "system:serviceaccount:vms:söldner",
      organizations: ["system:nodes", "a,b=c"],
      usages: ["clientAuth"],
    });
    const certificate = new X509Certificate(certPem);
    const { subject } = certificate.toLegacyObject();
    expect(subject).toMatchObject({ O: ["system:nodes", "a,b=c"], CN: "system:serviceaccount:vms:söldner" });
    expect(certificate.checkIssued(new X509Certificate(authority.certPem))).toBe(true);
    expect(certificate.verify(new X509Certificate(authority.certPem).publicKey)).toBe(true);
    expect(certificate.ca).toBe(false);
    expect(certificate.keyUsage).toEqual(["1.3.6.1.5.5.7.3.2"]);
  });

  it("is valid a little before it was made and for a year, with its own serial number", () => {
    const certificates = [1, 2].map(
      () => new X509Certificate(authority.issue({ commonName: "x", usages: ["clientAuth"] }).certPem),
    );
    const [first, second] = certificates;
    expect(first?.serialNumber).not.toBe(second?.serialNumber);
    expect(first?.validFromDate.getTime()).toBeLessThan(Date.now() - 3_000_000);
    expect(first?.validToDate.getTime()).toBeGreaterThan(Date.now() + 364 * 24 * 3_600_000);
  });

  it("names DNS names, IPv4 and IPv6 addresses as what they are", () => {
    const { certPem } = authority.issue({
      commonName: "server",
      hosts: ["kubernetes.default.svc", "127.0.0.1", "::1", "fd00::10:0:1"],
      usages: ["serverAuth"],
    });
    const certificate = new X509Certificate(certPem);
    expect(certificate.subjectAltName).toBe(
      "DNS:kubernetes.default.svc, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1, IP Address:FD00:0:0:0:0:10:0:1",
    );
  });

  it("carries a mutual TLS handshake, and none for a stranger's certificate", async () => {
    const serving = authority.issue({ commonName: "s", hosts: ["127.0.0.1"], usages: ["serverAuth"] });
    const server = createServer({
      key: serving.keyPem,
      cert: serving.certPem,
      ca: authority.certPem,
      requestCert: true,
      rejectUnauthorized: true,
    });
    server.on("secureConnection", (socket) => socket.end(socket.getPeerCertificate().subject.CN as string));
    server.on("tlsClientError", () => undefined);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    const greet = async (issuer: typeof authority): Promise<string> => {
      const client = issuer.issue({ commonName: "client", usages: ["clientAuth"] });
      const socket: TLSSocket = connect({
        host: "127.0.0.1",
        port,
        ca: authority.certPem,
        cert: client.certPem,
        key: client.keyPem,
      });
      let received = "";
      socket.on("data", (chunk: Buffer) => (received += chunk.toString()));
      await once(socket, "close").catch(() => undefined);
      return received;
    };
    try {
      expect(await greet(authority)).toBe("client");
      expect(await greet(createCertificateAuthority("test-authority"))).toBe("");
    } finally {
      server.close();
    }
  });
});

describe("DER", () => {
  it("encodes object identifiers, integers and times as X.690 gives them", () => {
    expect(derObjectIdentifier("1.2.840.113549").toString("hex")).toBe("06062a864886f70d");
    expect(derInteger(Buffer.from([0, 0, 0x80])).toString("hex")).toBe("02020080");
    expect(derInteger(Buffer.from([0])).toString("hex")).toBe("020100");
    expect(derTime(new Date("2049-12-31T23:59:59.999Z")).toString("latin1", 2)).toBe("491231235959Z");
    expect(derTime(new Date("2050-01-01T00:00:00Z")).toString("latin1", 2)).toBe("20500101000000Z");
  });

  it("knows an address from a name", () => {
    expect(ipAddressBytes("10.96.0.1")?.toString("hex")).toBe("0a600001");
    expect(ipAddressBytes("fe80::")?.toString("hex")).toBe(`fe80${"00".repeat(14)}`);
    expect(ipAddressBytes("1:2:3:4:5:6:7:8")?.toString("hex")).toBe("00010002000300040005000600070008");
    expect(ipAddressBytes("localhost")).toBeUndefined();
  });
});
