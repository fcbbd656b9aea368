import { gunzipSync, gzipSync } from "node:zlib";

/** Text as gzip in base64; the same text gives the same. */
export function gzipText(text: string): string {
  return gzipSync(text).toString("base64");
}

/** @param bytesMax of what comes out @throws Error for what is not gzip in base64, ends early or is larger */
export function gunzipText(zipped: string, bytesMax: number): string {
  return gunzipSync(Buffer.from(zipped, "base64"), { maxOutputLength: bytesMax }).toString("utf8");
}
