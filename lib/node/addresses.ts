import { lookup } from "node:dns/promises";
import { BlockList, isIP } from "node:net";
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

/** Of this machine, of its link, and where clouds tell a machine its credentials: link-local, but for these three. */
const LOCAL = new BlockList();
LOCAL.addSubnet("0.0.0.0", 8);
LOCAL.addSubnet("127.0.0.0", 8);
LOCAL.addSubnet("169.254.0.0", 16);
LOCAL.addAddress("::", "ipv6");
LOCAL.addAddress("::1", "ipv6");
LOCAL.addSubnet("fe80::", 10, "ipv6");
// Alibaba; Azure; AWS by IPv6.
LOCAL.addAddress("100.100.100.200");
LOCAL.addAddress("168.63.129.16");
LOCAL.addAddress("fd00:ec2::254", "ipv6");

/** IPv4 in an address of IPv6: as ::ffff: has it, and as NAT64 does. */
const EMBEDDED = /^(?:::ffff:|64:ff9b::)(.+)$/i;

/** Whether an address is one that only this machine should ask; so is what is no address. */
export function isLocalAddress(address: string): boolean {
  const [plain = ""] = address.split("%");
  const embedded = EMBEDDED.exec(plain)?.[1];
  if (embedded !== undefined) return isLocalAddress(dotted(embedded));
  const version = isIP(plain);
  return version === 0 || LOCAL.check(plain, version === 4 ? "ipv4" : "ipv6");
}

/** The last 32 bits of an address of IPv6, in the form of IPv4. */
function dotted(bits: string): string {
  if (bits.includes(".")) return bits;
  const [low = "0", high = "0"] = bits.split(":").reverse();
  return [high, low].flatMap((part) => [Number.parseInt(part, 16) >> 8, Number.parseInt(part, 16) & 255]).join(".");
}
