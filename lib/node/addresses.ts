import { lookup } from "node:dns/promises";
import { OperatorError } from "../core/errors.ts";

/**
 * All addresses of a name, in order; of a headless Service those of its pods.
 * @throws OperatorError METRICS_UNREACHABLE, also when they are not known in time
 */
export async function addressesOf(name: string, timeoutMs: number): Promise<readonly string[]> {
  const failure = (message: string, cause?: unknown): OperatorError =>
    new OperatorError("METRICS_UNREACHABLE", `${name}: ${message}`, { cause });
  let timer: NodeJS.Timeout | undefined;
  // A resolver cannot be told when to give up, nor be stopped.
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(failure(`no address within ${timeoutMs} ms`)), timeoutMs);
  });
  try {
    const found = await Promise.race([lookup(name, { all: true }), late]);
    return [...new Set(found.map(({ address }) => address))].sort();
  } catch (error) {
    if (error instanceof OperatorError) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    throw failure(code ?? message, error);
  } finally {
    clearTimeout(timer);
  }
}
