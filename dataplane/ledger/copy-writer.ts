/** Sends COPY ... FROM STDIN in one piece: the bytes are ready, so a stream in between would only cost. */
import type { Client, Submittable } from "pg";

interface Wire {
  query(text: string): void;
  readonly stream: { write(bytes: Uint8Array): boolean };
}

const COPY_DATA = 0x64;
const COPY_DONE = Buffer.from([0x63, 0, 0, 0, 4]);

/** Runs `text`, which ends in COPY ... FROM STDIN, with these bytes. @throws the driver's or the server's error */
export function copyIn(client: Client, text: string, bytes: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    let failed = false;
    const query = {
      text,
      /** The driver replaces this to learn that an answer came; its time limit ends with the first call. */
      callback: (): void => undefined,
      submit: (connection: Wire): void => {
        connection.query(text);
        // The data follows without waiting for the server's consent: it ignores what comes when COPY did not start.
        const header = Buffer.alloc(5);
        header.writeUInt8(COPY_DATA);
        header.writeUInt32BE(bytes.length + 4, 1);
        connection.stream.write(header);
        connection.stream.write(bytes);
        connection.stream.write(COPY_DONE);
      },
      handleCopyInResponse: (): void => undefined,
      handleRowDescription: (): void => undefined,
      handleCommandComplete: (): void => undefined,
      handleError: (error: Error): void => {
        query.callback();
        failed = true;
        reject(error);
      },
      handleReadyForQuery: (): void => {
        query.callback();
        if (!failed) resolve();
      },
    };
    client.query(query as unknown as Submittable);
  });
}
