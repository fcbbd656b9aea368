/** Which bytes write a character in the encodings that are no form of Unicode: what the runtime reads, turned round. */

/** Encodings in which a character has one byte or more. */
export const MULTI_BYTE: ReadonlySet<string> = new Set(["shift_jis", "euc-jp", "gb18030", "big5", "euc-kr"]);

const tables = new Map<string, ReadonlyMap<string, Uint8Array>>();

/** Characters of one and two bytes by their bytes. @param encoding by its name of the WHATWG, no form of Unicode */
export function bytesOf(encoding: string): ReadonlyMap<string, Uint8Array> {
  const known = tables.get(encoding);
  if (known !== undefined) return known;
  const decoder = new TextDecoder(encoding);
  const table = new Map<string, Uint8Array>();
  const add = (...bytes: readonly number[]): void => {
    const [character = "", ...others] = decoder.decode(Uint8Array.from(bytes));
    if (others.length > 0 || character === "\ufffd" || table.has(character)) return;
    table.set(character, Uint8Array.from(bytes));
  };
  for (let byte = 0; byte < 256; byte += 1) add(byte);
  for (let lead = 0x80; lead < 256 && MULTI_BYTE.has(encoding); lead += 1) {
    for (let trail = 0x30; trail < 256; trail += 1) add(lead, trail);
  }
  tables.set(encoding, table);
  return table;
}
