/** Tells the ledger's own pods from everybody else: a pod shows the ledger's certificate also where it is the client. */
import { X509Certificate } from "node:crypto";
import type { TLSSocket } from "node:tls";

export interface PeerTrust {
  /** Bundle of the CAs that sign the ledger's certificate. */
  readonly caPem: () => string;
  /** Name that the certificate holds. */
  readonly servername: string;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

const PEM = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/**
 * Asks of each connection once whether a pod of this ledger is at its other end. The handshake has proved that the sender has
 * the certificate's key; whose certificate it is, is checked here and not by OpenSSL, which would ask for the purpose
 * "client": those that are in use are for servers.
 */
export function createPeerCheck(trust: PeerTrust): (socket: TLSSocket) => boolean {
  const known = new WeakMap<TLSSocket, boolean>();
  return (socket) => {
    const before = known.get(socket);
    if (before !== undefined) return before;
    const certificate = socket.getPeerX509Certificate();
    const isPeer = certificate !== undefined && isTrusted(certificate, trust);
    known.set(socket, isPeer);
    return isPeer;
  };
}

function isTrusted(certificate: X509Certificate, trust: PeerTrust): boolean {
  const now = trust.now();
  if (Date.parse(certificate.validFrom) > now || Date.parse(certificate.validTo) < now) return false;
  if (certificate.ca || certificate.checkHost(trust.servername) === undefined) return false;
  return (trust.caPem().match(PEM) ?? []).some((pem) => {
    const authority = new X509Certificate(pem);
    return authority.ca && certificate.checkIssued(authority) && certificate.verify(authority.publicKey);
  });
}
