/** A predicate over labels, read from the text that the API takes. */
export type LabelMatcher = (labels: Readonly<Record<string, string>> | undefined) => boolean;

/**
 * Reads `key=value` and `key` (exists), separated by commas. The set forms (`in`, `notin`, `!`) are not used by our
 * watches; a selector with them is a programmer's error.
 */
export function labelMatcher(selector: string | undefined): LabelMatcher {
  const requirements = (selector ?? "")
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "")
    .map((part) => {
      const match = /^([A-Za-z0-9./_-]+)(?:==?([A-Za-z0-9._-]*))?$/.exec(part);
      if (match === null) throw new Error(`label selector "${part}" is not supported`);
      return { key: match[1] as string, value: match[2] };
    });
  return (labels) =>
    requirements.every(({ key, value }) => {
      const found = labels?.[key];
      return found !== undefined && (value === undefined || found === value);
    });
}
