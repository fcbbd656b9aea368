import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../../lib/core/clock.ts";
import { type CertificatePair, createCertificateAuthority, issueCertificate } from "../../../lib/node/certificates.ts";

/** A Secret of cert-manager's as the kubelet mounts it: real files behind a symbolic link that is replaced as a whole. */
export interface MountedCertificates {
  readonly directory: string;
  /** Swaps the whole folder. */
  swap(pair: CertificatePair): Promise<void>;
  /** Swaps in a folder with these files, whatever is in them. */
  swapFiles(files: Readonly<Record<string, string>>): Promise<void>;
  remove(): Promise<void>;
}

/** Mounts a pair in a temporary folder. */
export async function mountCertificates(pair: CertificatePair): Promise<MountedCertificates> {
  const directory = await mkdtemp(join(tmpdir(), "shieldx-certificates-"));
  let generation = 0;
  const swapFiles = async (files: Readonly<Record<string, string>>): Promise<void> => {
    const old = `..${generation}`;
    const next = `..${(generation += 1)}`;
    await mkdir(join(directory, next));
    for (const [name, text] of Object.entries(files)) await writeFile(join(directory, next, name), text);
    await symlink(next, join(directory, "..data_tmp"));
    await rename(join(directory, "..data_tmp"), join(directory, "..data"));
    await rm(join(directory, old), { recursive: true, force: true });
  };
  const swap = ({ certPem, keyPem }: CertificatePair) => swapFiles({ "tls.crt": certPem, "tls.key": keyPem });
  await swap(pair);
  for (const name of ["tls.crt", "tls.key"]) await symlink(join("..data", name), join(directory, name));
  return { directory, swap, swapFiles, remove: () => rm(directory, { recursive: true, force: true }) };
}

/** A CA of somebody else's. */
export function foreignAuthority(): Promise<CertificatePair> {
  return createCertificateAuthority("somebody else", systemClock.now());
}

/** A certificate for the loopback address, valid for 90 days unless told. */
export function loopbackCertificate(
  ca: CertificatePair,
  lifetime?: { readonly validityMs: number; readonly backdateMs: number },
): Promise<CertificatePair> {
  return issueCertificate(
    ca,
    {
      commonName: "gadgets",
      usage: "server",
      ipAddresses: ["127.0.0.1"],
      ...(lifetime === undefined ? {} : { lifetime }),
    },
    systemClock.now(),
  );
}
