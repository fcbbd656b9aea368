/** Connections to addresses that somebody else chose: none of them leads to this machine, its link or a cloud's metadata. */
import { lookup } from "node:dns";
import { isIP, type LookupFunction } from "node:net";
import { isLocalAddress } from "./addresses.ts";

/** Why somebody is not asked. */
export const LOCAL_REFUSED = "it is not asked, for its address is of loopback, link-local or a cloud's metadata";

/** Whether a host is an address that is refused; of an address nothing is looked up, so that `lookupElsewhere` never sees it. */
export function isRefusedAddress(host: string): boolean {
  return isIP(host) !== 0 && isLocalAddress(host);
}

/** The connection is made to what is found here: a name that stands for something else a moment later changes nothing. */
export const lookupElsewhere: LookupFunction = (name, options, found) => {
  lookup(name, { ...options, all: true }, (error, addresses) => {
    if (error !== null) return found(error, []);
    const [first] = addresses;
    if (first === undefined || addresses.some(({ address }) => isLocalAddress(address))) {
      return found(new Error(LOCAL_REFUSED), []);
    }
    if (options.all === true) found(null, addresses);
    else found(null, first.address, first.family);
  });
};
