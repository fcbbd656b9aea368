import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { systemClock } from "../../lib/core/clock.ts";
import { createCertificateAuthority, issueCertificate } from "../../lib/node/certificates.ts";
import type { TestPostgres } from "./postgres.ts";

/**
 * Writes the folders that a ledger pod has mounted: `tls`, `postgres-ca`, `roles`. Passwords are those of `TestPostgres`.
 * @returns the CA certificate that clients of the API trust, PEM
 */
export async function writeLedgerFiles(directory: string, postgres: TestPostgres, database: string): Promise<string> {
  const authority = await createCertificateAuthority("test", systemClock.now());
  const certificate = await issueCertificate(
    authority,
    { commonName: "ledger", usage: "server", dnsNames: ["localhost"], ipAddresses: ["127.0.0.1"] },
    systemClock.now(),
  );
  for (const name of ["tls", "postgres-ca", "roles"]) await mkdir(join(directory, name));
  await writeFile(join(directory, "tls/tls.crt"), certificate.certPem);
  await writeFile(join(directory, "tls/tls.key"), certificate.keyPem, { mode: 0o600 });
  await writeFile(join(directory, "tls/ca.crt"), authority.certPem);
  await writeFile(join(directory, "postgres-ca/ca.crt"), postgres.caPem);
  for (const kind of ["owner", "writer", "reader"]) {
    await writeFile(join(directory, `roles/${kind}-password`), `${database}_${kind}`, { mode: 0o600 });
  }
  return authority.certPem;
}
