import { EventEmitter } from "node:events";
import type { Socket } from "node:net";
import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { takeCopyData } from "./copy-frames.ts";

// Goal: wherever the network cuts the stream, each byte of the COPY goes to its reader and each other byte to the driver.

function message(type: string, body: string): Buffer {
  const header = Buffer.alloc(5);
  header.write(type);
  header.writeUInt32BE(4 + body.length, 1);
  return Buffer.concat([header, Buffer.from(body)]);
}

const BEFORE = [message("H", "\0\0\0"), message("N", "a notice")];
const DATA = ["header and first row", "", "second", "x".repeat(300), "end"];
const BETWEEN = message("S", "name\0value\0");
const AFTER = [message("c", ""), message("C", "COPY 3\0"), message("Z", "T")];

/** @returns what came to each side when the stream is cut at these offsets, the end of the COPY included */
function deliver(stream: Buffer, cuts: readonly number[]): { data: string; driver: Buffer; listeners: number } {
  const socket = new EventEmitter();
  const toDriver: Buffer[] = [];
  const data: string[] = [];
  socket.on("data", (chunk: Buffer) => toDriver.push(Buffer.from(chunk)));
  takeCopyData(socket as Socket, (chunk, from, to) => data.push(chunk.toString("latin1", from, to)));
  const sorted = [...new Set(cuts.map((cut) => cut % stream.length))].sort((a, b) => a - b);
  [...sorted, stream.length].reduce((from, to) => {
    if (to > from) socket.emit("data", stream.subarray(from, to));
    return to;
  }, 0);
  return { data: data.join(""), driver: Buffer.concat(toDriver), listeners: socket.listenerCount("data") };
}

describe("takeCopyData", () => {
  const [first, ...rest] = DATA.map((body) => message("d", body));
  const cuts = fc.array(fc.nat(), { maxLength: 30 });

  test("parts a COPY from what is said around it", () => {
    const stream = Buffer.concat([...BEFORE, first as Buffer, BETWEEN, ...rest, ...AFTER]);
    fc.assert(
      fc.property(cuts, (at) => {
        const { data, driver, listeners } = deliver(stream, at);
        expect(data).toBe(DATA.join(""));
        expect(driver.toString("latin1")).toBe(Buffer.concat([...BEFORE, BETWEEN, ...AFTER]).toString("latin1"));
        expect(listeners).toBe(1);
      }),
    );
  });

  test("gives the connection back at an error, with what follows it", () => {
    const failure = [message("E", "SFATAL\0\0"), message("d", "not of this COPY")];
    const stream = Buffer.concat([...BEFORE, first as Buffer, ...failure]);
    fc.assert(
      fc.property(cuts, (at) => {
        const { data, driver } = deliver(stream, at);
        expect(data).toBe(DATA[0]);
        expect(driver.toString("latin1")).toBe(Buffer.concat([...BEFORE, ...failure]).toString("latin1"));
      }),
    );
  });
});
