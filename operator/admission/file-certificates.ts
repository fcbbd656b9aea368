import { type FSWatcher, watch } from "node:fs";
import { readFile, realpath } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Clock } from "../../lib/core/clock.ts";
import { OperatorError, toOperatorError } from "../../lib/core/errors.ts";
import type { Logger } from "../../lib/node/logger.ts";
import { type CertificateSource, type ServingCertificate, servingCertificate } from "./certificate-source.ts";
import { sleepUntil } from "./sleep.ts";

export interface FileCertificatesOptions {
  /** Folder with `tls.crt` and `tls.key`: a mounted Secret of cert-manager's, for example. Not a `subPath` mount: the kubelet never updates those. */
  readonly directory: string;
  readonly clock: Clock;
  readonly log: Logger;
  /** Each look: did it give a pair that can be used? */
  readonly onRead: (ok: boolean) => void;
}

/** controller-runtime's interval. The kernel's notices are faster, but no promise: not over NFS, not when watches ran out. */
const POLL_MS = 10_000;

/**
 * Certificates from files that somebody else renews. The caller's trust is that somebody's too: cert-manager writes
 * `caBundle` itself where the annotation `cert-manager.io/inject-ca-from` asks for it.
 */
export function createFileCertificates(options: FileCertificatesOptions): CertificateSource {
  const { directory, clock, log, onRead } = options;
  let trouble: string | undefined;
  let shown: string | undefined;

  const look = async (use: (certificate: ServingCertificate) => void): Promise<void> => {
    try {
      const certificate = servingCertificate(directory, await readPair(directory), clock.now());
      // The key may change under the same certificate only if it never fitted: the certificate tells them apart.
      if (shown !== certificate.fingerprint) use(certificate);
      // Not before it is in use: TLS may refuse what can be read, for example a broken certificate behind the first one.
      shown = certificate.fingerprint;
      onRead(true);
      trouble = undefined;
    } catch (error) {
      const { code, message } = toOperatorError(error);
      onRead(false);
      if (trouble !== message) log.error({ code }, `the webhook certificate cannot be used: ${message}`);
      trouble = message;
    }
  };

  return {
    trouble: () => trouble,
    run: async (signal, use) => {
      let wake = new AbortController();
      const watcher = watchFolder(directory, log, () => wake.abort());
      try {
        while (!signal.aborted) {
          // Before the look: a change during it is another look.
          wake = new AbortController();
          await look(use);
          await sleepUntil(clock, POLL_MS, [signal, wake.signal]);
        }
      } finally {
        watcher?.close();
      }
    },
  };
}

/**
 * Certificate and key from one and the same version of the folder: the kubelet swaps a whole folder behind a symbolic
 * link, and a read of two paths could meet the swap in the middle.
 */
async function readPair(directory: string): Promise<{ certPem: string; keyPem: string }> {
  try {
    const real = dirname(await realpath(join(directory, "tls.crt")));
    const [certPem, keyPem] = await Promise.all([
      readFile(join(real, "tls.crt"), "utf8"),
      readFile(join(real, "tls.key"), "utf8"),
    ]);
    return { certPem, keyPem };
  } catch (cause) {
    throw new OperatorError("CERTIFICATE_INVALID", `${directory}: tls.crt or tls.key cannot be read`, { cause });
  }
}

/** @returns `undefined` when the kernel gives no notices; then the poll alone finds changes */
function watchFolder(directory: string, log: Logger, onChange: () => void): FSWatcher | undefined {
  try {
    const watcher = watch(directory, { persistent: false }, onChange);
    watcher.on("error", (error) => {
      log.warn({ error: error.message }, `changes of ${directory} are found by looking every ${POLL_MS / 1000} s only`);
      watcher.close();
    });
    return watcher;
  } catch (error) {
    log.warn(
      { error: toOperatorError(error).message },
      `changes of ${directory} are found by looking every ${POLL_MS / 1000} s only`,
    );
    return undefined;
  }
}
