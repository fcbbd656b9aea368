/** What is given for CSV by mistake, told by its first bytes. */
import { OperatorError } from "../../../lib/core/errors.ts";

const EXPORT = "export CSV in its place, or save it as CSV (UTF-8)";

/** Kinds by what a file begins with, as Latin-1 without a byte order mark and blanks; the first that fits. */
const KINDS: readonly (readonly [begins: RegExp, kind: string, help: string])[] = [
  [
    /^PK\x03\x04/,
    "a workbook (.xlsx, .ods) or another ZIP archive, whatever its name",
    "save the sheet as CSV (UTF-8), or unpack it",
  ],
  [/^\xd0\xcf\x11\xe0/, "an old workbook (.xls), whatever its name", "save the sheet as CSV (UTF-8)"],
  [/^%PDF-/, "a PDF", "export CSV in its place"],
  [/^\x1f\x8b/, "packed with gzip", "unpack it: gunzip -c FILE | shieldx ledger import - ..."],
  [/^(?:OFXHEADER:|<OFX>|<\?xml[^>]*>\s*<\?OFX)/, "OFX", EXPORT],
  [/^<(?:\?xml|Document)[^]*\bcamt\.\d/, "ISO 20022 (camt)", EXPORT],
  [/^<\?xml/, "XML", EXPORT],
  [/^<(?:!doctype\s+html|html|head|body|table)\b/i, "HTML, whatever its name", EXPORT],
  [/^(?:\{1:F01|:20:[^\r\n]*\r?\n:2)/, "MT940", EXPORT],
  [/^!(?:Type|Account|Option):/i, "QIF", EXPORT],
  [/^(?:\[\s*[[{]|\{\s*["}])/, "JSON", EXPORT],
];

/** @param head the first bytes of a file, some hundred where it has them. @throws OperatorError FILE_NOT_CSV */
export function refuseOtherKinds(head: Uint8Array): void {
  const text = Buffer.from(head)
    .toString("latin1")
    .replace(/^\xef\xbb\xbf/, "")
    .trimStart();
  const found = KINDS.find(([begins]) => begins.test(text));
  if (found === undefined) return;
  const [, kind, help] = found;
  throw new OperatorError("FILE_NOT_CSV", `the file is ${kind}, and no CSV: ${help}`);
}
