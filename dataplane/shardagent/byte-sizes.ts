/** Bytes of a kibibyte, a mebibyte, a gibibyte. */
export const KIB = 1024;
export const MIB = 1024 * KIB;
export const GIB = 1024 * MIB;

const FACTORS: Readonly<Record<string, number>> = { B: 1, kB: KIB, MB: MIB, GB: GIB, TB: 1024 * GIB };

/**
 * Bytes of a setting in PostgreSQL's notation, for example "64MB".
 * @param unitBytes what a number without unit counts
 * @returns `undefined` for what is no size; PostgreSQL itself will say so
 */
export function parsePostgresSize(value: string, unitBytes: number): number | undefined {
  const [, number, unit] = /^\s*([0-9]+(?:\.[0-9]+)?)\s*(B|kB|MB|GB|TB)?\s*$/.exec(value) ?? [];
  if (number === undefined) return undefined;
  return Number(number) * (unit === undefined ? unitBytes : (FACTORS[unit] as number));
}

/** A size for people, for example "1.0 GiB" or "81 MiB". */
export function formatBytes(bytes: number): string {
  if (bytes >= GIB) return `${(bytes / GIB).toFixed(1)} GiB`;
  if (bytes >= MIB || bytes === 0) return `${Math.floor(bytes / MIB)} MiB`;
  return `${Math.floor(bytes / KIB)} KiB`;
}
