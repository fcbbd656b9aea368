/** Bytes of a file as text, or a refusal that says where they are not: nothing is ever replaced by U+FFFD. */
import { OperatorError } from "../../../lib/core/errors.ts";
import { bytesOf, MULTI_BYTE } from "./encoding-tables.ts";

/** Encodings that `--encoding` takes, by the names of the WHATWG. */
export const ENCODINGS = [
  "utf-8",
  "utf-16le",
  "utf-16be",
  "windows-1252",
  "windows-1250",
  "windows-1251",
  "windows-1253",
  "windows-1254",
  "windows-1255",
  "windows-1256",
  "windows-1257",
  "windows-1258",
  "windows-874",
  "iso-8859-2",
  "iso-8859-5",
  "iso-8859-7",
  "iso-8859-15",
  "macintosh",
  "ibm866",
  "koi8-r",
  "shift_jis",
  "euc-jp",
  "gb18030",
  "big5",
  "euc-kr",
] as const;
export type Encoding = (typeof ENCODINGS)[number];

const ALIASES: Readonly<Record<string, Encoding>> = {
  utf8: "utf-8",
  "utf-16": "utf-16le",
  cp1250: "windows-1250",
  cp1251: "windows-1251",
  cp1252: "windows-1252",
  // As in browsers: what calls itself Latin-1 is this superset of it.
  latin1: "windows-1252",
  "iso-8859-1": "windows-1252",
  "iso-8859-9": "windows-1254",
  "shift-jis": "shift_jis",
  sjis: "shift_jis",
  cp932: "shift_jis",
  "windows-31j": "shift_jis",
  gbk: "gb18030",
  gb2312: "gb18030",
  cp936: "gb18030",
  cp949: "euc-kr",
  cp950: "big5",
  cp1256: "windows-1256",
  cp1255: "windows-1255",
  cp1254: "windows-1254",
  cp1253: "windows-1253",
  cp1257: "windows-1257",
  "us-ascii": "utf-8",
  ascii: "utf-8",
};

const MARKS: readonly { readonly encoding: Encoding; readonly bytes: readonly number[] }[] = [
  { encoding: "utf-8", bytes: [0xef, 0xbb, 0xbf] },
  { encoding: "utf-16le", bytes: [0xff, 0xfe] },
  { encoding: "utf-16be", bytes: [0xfe, 0xff] },
];

/** An encoding by its name or a common alias; `undefined` for any other text. */
export function encodingNamed(label: string): Encoding | undefined {
  const name = label.toLowerCase();
  return ENCODINGS.find((encoding) => encoding === name) ?? ALIASES[name];
}

/** How a file is written. */
export interface FoundEncoding {
  readonly encoding: Encoding;
  /** Length of the byte order mark; 0 when there is none. */
  readonly markBytes: number;
}

/**
 * The encoding that was named, or that the first bytes tell: a byte order mark, else UTF-8.
 * @throws OperatorError CSV_ENCODING_INVALID when both say something else, or the bytes are those of UTF-16 without a mark
 */
export function detectEncoding(head: Uint8Array, named?: Encoding): FoundEncoding {
  const mark = MARKS.find(({ bytes }) => bytes.every((byte, index) => head[index] === byte));
  if (mark !== undefined) {
    if (named !== undefined && named !== mark.encoding) {
      throw refused(`the file begins with the byte order mark of ${mark.encoding}: leave --encoding ${named} out`);
    }
    return { encoding: mark.encoding, markBytes: mark.bytes.length };
  }
  if (named === undefined) refuseBareUtf16(head);
  return { encoding: named ?? "utf-8", markBytes: 0 };
}

/** ASCII in UTF-16 has a zero at every second byte. */
function refuseBareUtf16(head: Uint8Array): void {
  const pairs = Math.min(head.length >> 1, 200);
  let high = 0;
  let low = 0;
  for (let index = 0; index < pairs; index += 1) {
    if (head[2 * index] === 0) high += 1;
    if (head[2 * index + 1] === 0) low += 1;
  }
  if (pairs < 4 || Math.max(high, low) < pairs * 0.6) return;
  const encoding = low > high ? "utf-16le" : "utf-16be";
  throw refused(`the file is not UTF-8: every second byte is 0, as in UTF-16. Name it: --encoding ${encoding}`);
}

/** Decodes chunk after chunk. */
export interface StrictDecoder {
  /** @throws OperatorError CSV_ENCODING_INVALID with line and bytes */
  write(chunk: Uint8Array): string;
  /** @throws OperatorError CSV_ENCODING_INVALID when the last character is cut */
  end(): string;
}

/** Undefined bytes of single-byte encodings become C1 controls, which no file of this century means. */
const UNDEFINED_BYTE = /[\0\u0080-\u009f]/;

/** @param encoding of text without a byte order mark */
export function createStrictDecoder(encoding: Encoding): StrictDecoder {
  const decoder = new TextDecoder(encoding, { fatal: true, ignoreBOM: true });
  const isSingleByte = !encoding.startsWith("utf-");
  let line = 1;
  /** What the decoder holds back: the beginning of a character. */
  let held: Uint8Array = new Uint8Array(0);

  const broken = (bytes: Uint8Array, at: number, text: string): OperatorError => {
    const lineThere = line + countLines(text);
    const hex = [...bytes.subarray(at, at + 2)].map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
    return refused(
      `line ${lineThere} is not ${encoding}: the bytes ${hex || "at the end"} behind "${text.slice(-20).split("\n").at(-1)}". ${suggestion(encoding)}`,
    );
  };
  const check = (text: string, bytes: Uint8Array): string => {
    const bad = isSingleByte ? text.search(UNDEFINED_BYTE) : text.indexOf("\0");
    if (bad >= 0) throw broken(bytes, lengthIn(encoding, text.slice(0, bad)), text.slice(0, bad));
    if (MULTI_BYTE.has(encoding)) refuseUnwritable(text, encoding, line);
    line += countLines(text);
    return text;
  };
  const locate = (bytes: Uint8Array): OperatorError => {
    const decodes = (length: number): string | undefined => {
      try {
        return new TextDecoder(encoding, { fatal: true, ignoreBOM: true }).decode(bytes.subarray(0, length), {
          stream: true,
        });
      } catch {
        return undefined;
      }
    };
    let good = 0;
    for (let bad = bytes.length; bad - good > 1; ) {
      const middle = (good + bad) >> 1;
      if (decodes(middle) === undefined) bad = middle;
      else good = middle;
    }
    const text = decodes(good) ?? "";
    return broken(bytes, lengthIn(encoding, text), text);
  };
  return {
    write: (chunk) => {
      let text: string;
      const bytes = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
      try {
        text = decoder.decode(chunk, { stream: true });
      } catch {
        throw locate(bytes);
      }
      held = bytes.subarray(lengthIn(encoding, text));
      return check(text, bytes);
    },
    end: () => {
      try {
        return decoder.decode();
      } catch {
        throw refused(`the file ends in the middle of a character of ${encoding}: it was cut. Get it again`);
      }
    },
  };
}

function lengthIn(encoding: Encoding, text: string): number {
  if (encoding === "utf-8") return Buffer.byteLength(text);
  if (encoding.startsWith("utf-16")) return text.length * 2;
  return MULTI_BYTE.has(encoding) ? encodeText(text, encoding).length : text.length;
}

/** Some codes are read and cannot be written: a row with one would come back from the rejects file as another row. */
function refuseUnwritable(text: string, encoding: Encoding, firstLine: number): void {
  const table = bytesOf(encoding);
  let line = firstLine;
  for (const character of text) {
    if (character === "\n") line += 1;
    if (table.has(character)) continue;
    const code = (character.codePointAt(0) as number).toString(16).toUpperCase();
    throw refused(
      `line ${line} has the character U+${code}, which cannot be written in ${encoding}: save the file as UTF-8`,
    );
  }
}

function suggestion(encoding: Encoding): string {
  return encoding === "utf-8"
    ? "Name the file's encoding, for example --encoding windows-1252 (Excel, western Europe), windows-1250 (central Europe), shift_jis (Japan) or gb18030 (China)"
    : "Name another encoding with --encoding";
}

function countLines(text: string): number {
  let lines = 0;
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) lines += 1;
  return lines;
}

function refused(message: string): OperatorError {
  return new OperatorError("CSV_ENCODING_INVALID", message);
}

/** Writes text in the encoding of the file that it came from; what it cannot say becomes "?". */
export function encodeText(text: string, encoding: Encoding): Buffer {
  if (encoding === "utf-8") return Buffer.from(text, "utf8");
  if (encoding === "utf-16le") return Buffer.from(text, "utf16le");
  if (encoding === "utf-16be") return Buffer.from(text, "utf16le").swap16();
  const bytes = bytesOf(encoding);
  return Buffer.concat(Array.from(text, (character) => bytes.get(character) ?? UNKNOWN));
}

const UNKNOWN = Uint8Array.of(0x3f);

/** The byte order mark of an encoding that has one. */
export function markOf(encoding: Encoding): Buffer {
  return Buffer.from(MARKS.find((mark) => mark.encoding === encoding)?.bytes ?? []);
}
