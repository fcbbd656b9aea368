import { createPrivateKey, X509Certificate } from "node:crypto";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../../lib/core/clock.ts";
import { OperatorError, toOperatorError } from "../../lib/core/errors.ts";
import { certificateDigest, certificatesIn } from "../../lib/core/trust-bundle.ts";
import { readCertificate } from "../../lib/node/certificates.ts";
import type { Logger } from "../../lib/node/logger.ts";

/** Certificates as the volumes show them now, all PEM. */
export interface TlsFiles {
  readonly certPem: string;
  readonly keyPem: string;
  /** Bundle of the CAs whose clients are let in. */
  readonly caPem: string;
}

/** What is in use of them, for the agent's status. */
export interface TlsInUse {
  /** SHA-256 of the server certificate, hex. */
  readonly certificate: string;
  /** SHA-256 of each CA certificate, hex. */
  readonly authorities: readonly string[];
  /** End of the certificate, milliseconds since the epoch. */
  readonly notAfter: number;
}

/** Describes files that are in use. @throws OperatorError CERTIFICATE_INVALID */
export function describeTls({ certPem, caPem }: TlsFiles): TlsInUse {
  return {
    certificate: certificateDigest(certPem),
    authorities: certificatesIn(caPem).map(certificateDigest),
    notAfter: readCertificate(certPem).notAfter,
  };
}

/** The kubelet updates mounted Secrets about once a minute; a look every few seconds costs three small reads. */
const LOOK_EVERY_MS = 5_000;

/**
 * Reads certificate, key and CA bundle.
 * @throws OperatorError CERTIFICATE_INVALID when one is missing or key and certificate do not fit
 */
export async function readTlsFiles(tlsDir: string, caDir: string): Promise<TlsFiles> {
  const read = async (path: string): Promise<string> => {
    try {
      return await readFile(path, "utf8");
    } catch (cause) {
      throw new OperatorError("CERTIFICATE_INVALID", `${path} cannot be read`, { cause });
    }
  };
  const [certPem, keyPem, caPem] = await Promise.all([
    read(join(tlsDir, "tls.crt")),
    read(join(tlsDir, "tls.key")),
    read(join(caDir, "ca.crt")),
  ]);
  requireFit(certPem, keyPem);
  return { certPem, keyPem, caPem };
}

/**
 * Copies certificate and key to where PostgreSQL reads them: it refuses a key that others may read, and Secret volumes
 * are readable by the group. Each file changes as a whole.
 */
export async function installServerFiles(directory: string, files: TlsFiles): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  for (const [name, content] of [
    ["tls.crt", files.certPem],
    ["tls.key", files.keyPem],
  ] as const) {
    const path = join(directory, name);
    await writeFile(`${path}.new`, content, { mode: 0o600 });
    await rename(`${path}.new`, path);
  }
}

/**
 * Calls `onChange` whenever the files' content has changed, until the signal fires. Files that cannot be used are
 * reported once and looked at again: what is in use stays in use.
 */
export async function watchTlsFiles(
  dirs: { readonly tlsDir: string; readonly caDir: string },
  deps: { readonly clock: Clock; readonly log: Logger; readonly signal: AbortSignal },
  onChange: (files: TlsFiles) => Promise<void>,
): Promise<void> {
  let known: string | undefined;
  let reported: string | undefined;
  while (!deps.signal.aborted) {
    try {
      const files = await readTlsFiles(dirs.tlsDir, dirs.caDir);
      const content = files.certPem + files.keyPem + files.caPem;
      if (known !== undefined && known !== content) {
        await onChange(files);
        deps.log.info("certificates changed and are in use");
      }
      known = content;
      reported = undefined;
    } catch (error) {
      const { code, message } = toOperatorError(error);
      if (reported !== message) deps.log.error({ code }, `certificates cannot be used: ${message}`);
      reported = message;
    }
    await deps.clock.sleep(LOOK_EVERY_MS, deps.signal);
  }
}

function requireFit(certPem: string, keyPem: string): void {
  let fits: boolean;
  try {
    fits = new X509Certificate(certPem).checkPrivateKey(createPrivateKey(keyPem));
  } catch {
    // The parser's message may quote the file.
    throw new OperatorError("CERTIFICATE_INVALID", "certificate or key is not readable PEM");
  }
  if (!fits) throw new OperatorError("CERTIFICATE_INVALID", "certificate and key do not fit each other");
}
