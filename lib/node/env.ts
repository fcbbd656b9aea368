/** The one reader of the environment. Programs take what they need as arguments. */
export function environment(): Readonly<Record<string, string | undefined>> {
  return process.env;
}
