// The X.509 library reads decorator metadata while it loads, so this import comes first.
import "reflect-metadata";
import { createPrivateKey, webcrypto } from "node:crypto";
import { BasicConstraintsExtension, X509CertificateGenerator } from "@peculiar/x509";
import type { CertificatePair } from "../certificates.ts";

const DAY_MS = 86_400_000;

/** A CA as other tools make it: RSA, valid for a day before and after `now` (milliseconds since the epoch). */
export async function rsaAuthority(now: number): Promise<CertificatePair> {
  const algorithm = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256", publicExponent: new Uint8Array([1, 0, 1]) };
  const keys = await webcrypto.subtle.generateKey({ ...algorithm, modulusLength: 2048 }, true, ["sign", "verify"]);
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: "CN=foreign",
    notBefore: new Date(now - DAY_MS),
    notAfter: new Date(now + DAY_MS),
    signingAlgorithm: algorithm,
    keys,
    extensions: [new BasicConstraintsExtension(true, 0, true)],
  });
  const der = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", keys.privateKey));
  const keyPem = createPrivateKey({ key: der, format: "der", type: "pkcs8" }).export({ format: "pem", type: "pkcs8" });
  return { certPem: certificate.toString("pem"), keyPem: keyPem as string };
}
