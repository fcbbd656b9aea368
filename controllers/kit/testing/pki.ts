import { withCertificate } from "../../../lib/core/trust-bundle.ts";
import type { MadePki } from "../pki/make.ts";
import type { ObservedAuthority } from "../pki/objects.ts";

/** What `makePki` adds at rest: the bundle with the CA that signs. */
export function atRest({ ca, caKey }: ObservedAuthority, made: MadePki): MadePki {
  const signing = caKey?.value?.certPem;
  if (signing === undefined || made.ca !== undefined || made.problem !== undefined) return made;
  return { bundle: withCertificate(ca?.value, signing), validity: { notAfter: 0, isOurs: true }, ...made };
}
