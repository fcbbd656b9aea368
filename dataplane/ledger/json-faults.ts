/** Finds out what is wrong with a text that is not JSON, or in which a name comes twice: where it is, and what would be right. */

/** What is wrong, as a code and a sentence. */
export interface JsonFault {
  readonly code: "JSON_INVALID" | "NUMBER_INVALID" | "JSON_MEMBER_REPEATED";
  readonly detail: string;
}

/** Longer texts are not searched: it would hold up everybody for a second. */
const SEARCHED_MAX = 4 * 1024 * 1024;

/** Levels of objects and lists; the deepest request has five. */
export const DEPTH_MAX = 32;

const NUMBER = /^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$/;
/** A run of what might be meant as a number or a word. */
const WORD = /[^\s,:[\]{}"']+/y;
const BLANK = /[ \t\r\n]*/y;
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
const CONTROL = /[\u0000-\u001f]/;
const SHOWN_MAX = 40;

class Found extends Error {
  readonly fault: JsonFault;
  constructor(fault: JsonFault) {
    super(fault.detail);
    this.fault = fault;
  }
}

/**
 * The first fault of a text; `undefined` where there is none, or the text is longer than 4 Mi characters.
 * @param text nested at most DEPTH_MAX levels
 */
export function findJsonFault(text: string): JsonFault | undefined {
  if (text.length > SEARCHED_MAX) return undefined;
  if (text.trim() === "") return { code: "JSON_INVALID", detail: "the body is empty" };
  try {
    readDocument(text);
    return undefined;
  } catch (thrown) {
    if (thrown instanceof Found) return thrown.fault;
    throw thrown;
  }
}

function readDocument(text: string): void {
  let at = 0;

  const place = (offset: number): string => {
    const before = text.slice(0, offset).split("\n");
    return `line ${before.length} column ${(before.at(-1)?.length ?? 0) + 1}`;
  };
  const fail = (detail: string, offset = at): never => {
    throw new Found({ code: "JSON_INVALID", detail: `${place(offset)}: ${detail}` });
  };
  const take = (pattern: RegExp): string => {
    pattern.lastIndex = at;
    const taken = pattern.exec(text)?.[0] ?? "";
    at += taken.length;
    return taken;
  };
  const peek = (): string => {
    take(BLANK);
    return text[at] ?? "";
  };

  /** By hand: an expression with a choice for each character runs out of stack on long text. */
  const readText = (): string => {
    const from = at;
    at += 1;
    while (at < text.length && text[at] !== '"') at += text[at] === "\\" ? 2 : 1;
    if (at >= text.length) fail("text that begins here has no end", from);
    at += 1;
    const token = text.slice(from, at);
    const control = CONTROL.exec(token);
    if (control !== null) fail("a raw control character in text; escape it", from + control.index);
    try {
      return JSON.parse(token) as string;
    } catch {
      return fail("an escape in this text is none of JSON", from);
    }
  };

  const readWord = (path: string): void => {
    const from = at;
    const word = take(WORD);
    if (word === "true" || word === "false" || word === "null" || NUMBER.test(word)) return;
    const shown = word.slice(0, SHOWN_MAX);
    if (/^[+.-]?[0-9]/.test(word) || /^[+-]?(NaN|Infinity)$/.test(word)) {
      throw new Found({ code: "NUMBER_INVALID", detail: `${path || place(from)}: ${shown} ${explainNumber(word)}` });
    }
    if (word === "") fail(at < text.length ? `${text[at] as string} stands where a value is expected` : END);
    fail(`${shown} is not a value of JSON`, from);
  };

  const readValue = (path: string): void => {
    const first = peek();
    if (first === "{") return readObject(path);
    if (first === "[") return readList(path);
    if (first === '"') return void readText();
    if (first === "'") fail("text stands in double quotes in JSON");
    readWord(path);
  };

  /** After an element: true for a comma with another one behind it. */
  const hasNext = (close: string): boolean => {
    const next = peek();
    if (next !== "," && next !== close) {
      fail(next === "" ? `the body ends in the middle; , or ${close} is missing` : `, or ${close} is missing`);
    }
    at += 1;
    if (next === close) return false;
    const comma = at - 1;
    if (peek() === close) fail("a comma before the end; leave it out", comma);
    return true;
  };

  const readObject = (path: string): void => {
    const names = new Set<string>();
    at += 1;
    if (peek() === "}") return void (at += 1);
    do {
      const first = peek();
      if (first === "'") fail("text stands in double quotes in JSON");
      if (first !== '"') fail(first === "" ? END : "a name in double quotes is missing");
      const from = at;
      const name = readText();
      if (names.has(name)) {
        const where = path === "" ? "the body" : path;
        const detail = `${where} has ${JSON.stringify(name.slice(0, SHOWN_MAX))} twice, ${place(from)}`;
        throw new Found({ code: "JSON_MEMBER_REPEATED", detail });
      }
      names.add(name);
      if (peek() !== ":") fail("a colon after the name is missing");
      at += 1;
      const shown = name.slice(0, SHOWN_MAX);
      readValue(path === "" ? shown : `${path}.${shown}`);
    } while (hasNext("}"));
  };

  const readList = (path: string): void => {
    at += 1;
    if (peek() === "]") return void (at += 1);
    let index = 0;
    do readValue(`${path}[${index++}]`);
    while (hasNext("]"));
  };

  readValue("");
  if (peek() !== "") fail("something follows the end of the document");
}

const END = "the body ends in the middle";

function explainNumber(word: string): string {
  const plain = /^([+-]?)([0-9]+)$/.exec(word);
  if (plain === null) return "is not a number in JSON; write a plain integer such as 100";
  const [, sign, digits = ""] = plain;
  const right = digits.replace(/^0+(?=[0-9])/, "");
  const fault = sign === "+" ? "has a plus sign" : "begins with a zero";
  return `${fault}; write ${sign === "-" ? "-" : ""}${right}`;
}
