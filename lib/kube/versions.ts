/**
 * Compares two resource versions of one kind: negative when `a` is older. Kubernetes defines them as growing decimal
 * numbers (KEP-5504); anything else is not comparable and gives `undefined`.
 */
export function compareVersions(a: string | undefined, b: string | undefined): number | undefined {
  if (a === undefined || b === undefined || !/^\d+$/.test(a) || !/^\d+$/.test(b)) return undefined;
  if (a.length !== b.length) return a.length - b.length;
  return a === b ? 0 : a < b ? -1 : 1;
}
