import { BACKDATE_MS } from "../../../lib/node/certificates.ts";
import type { Certificates } from "../pki/certificates.ts";

/** How long the certificates below are valid, milliseconds. */
export const PLAIN_VALIDITY_MS = 90 * 86_400_000;

/** How long the CAs below are valid, milliseconds. */
export const PLAIN_CA_VALIDITY_MS = 3_650 * 86_400_000;

/** Certificates as plain text that says who issued them, until when, and for whom. */
export const plainCertificates: Certificates = {
  createCertificateAuthority: (commonName, now) =>
    Promise.resolve({ certPem: `CA ${commonName} made ${String(now)}\n`, keyPem: `key of ${commonName}\n` }),
  issueCertificate: (ca, { commonName, dnsNames = [] }, now) =>
    Promise.resolve({
      certPem: `${ca.certPem.trim()} | until ${String(now + PLAIN_VALIDITY_MS)} | ${[...dnsNames, commonName].join(",")}\n`,
      keyPem: "leaf key\n",
    }),
  authorityProblem: ({ certPem }) => (certPem.startsWith("CA") ? undefined : "its certificate is not that of a CA"),
  renewalReason: ({ certPem }, { caCertPem, dnsNames = [] }, now) => {
    const [issuer, until = "", names = ""] = certPem.trim().split(" | ");
    if (issuer !== caCertPem.trim()) return "it is not from the CA that signs now";
    if (Number(until.slice("until ".length)) - now < PLAIN_VALIDITY_MS / 3)
      return "less than a third of its life is left";
    const missing = dnsNames.filter((name) => !names.split(",").includes(name));
    return missing.length === 0 ? undefined : `it lacks ${missing.join(", ")}`;
  },
  isIssuedBy: ({ certPem }, caCertPem) => certPem.split(" | ")[0]?.trim() === caCertPem.trim(),
  isDueForRenewal: (certPem, now) => {
    const { notBefore, notAfter } = plainCertificates.readCertificate(certPem);
    return notAfter - now < (notAfter - notBefore) / 3;
  },
  readCertificate: (certPem) => {
    const [issuer = "", until, names = ""] = certPem.trim().split(" | ");
    const [, commonName, made] = /^CA (.*) made (\d+)$/.exec(issuer) ?? [];
    if (until === undefined) {
      const notBefore = Number(made ?? 0) - BACKDATE_MS;
      return { commonName: commonName ?? issuer, notBefore, notAfter: notBefore + BACKDATE_MS + PLAIN_CA_VALIDITY_MS };
    }
    const notAfter = Number(until.slice("until ".length));
    return {
      commonName: names.split(",").at(-1) ?? "",
      notBefore: notAfter - PLAIN_VALIDITY_MS - BACKDATE_MS,
      notAfter,
    };
  },
};
