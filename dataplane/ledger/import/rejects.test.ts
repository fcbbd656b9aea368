import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "@jest/globals";
import { temporaryFolder } from "../../../lib/node/testing/leftovers.ts";
import { checkCsv } from "../../testing/csv-file.ts";
import type { FileFlags } from "./import-options.ts";
import { openRejects } from "./rejects.ts";

// Goal: the file of refused rows is read with the very options of the file that they come from.

const folder = temporaryFolder("rejects");

async function rejectsOf(path: string, text: string | Uint8Array, flags: Partial<FileFlags>): Promise<Buffer> {
  const checked = await checkCsv(text, flags);
  const file = openRejects({ usual: join(folder, path), force: false }, checked);
  for (const parsed of checked.read()) {
    if ("row" in parsed) file.add({ ...parsed.row, code: "INSUFFICIENT_CREDIT", reason: "no; money" });
  }
  checked.close();
  return readFileSync(file.close() as string);
}

describe("the file of refused rows", () => {
  test("has the lines above the header and the totals below the rows again: --skip-lines and --skip-last stand", async () => {
    const text = "Konto;1\n\nid;date;N;Text\n1;2026-03-02;5.00;a\n2;2026-03-03;6.00;b\nSumme;;11.00\n---\n";
    const flags = { column: ["amount=N"], value: ["account=a", "operation=x"], skipLines: 2, skipLast: 2 };
    const first = await rejectsOf("a.csv", text, flags);
    expect(first.toString()).toBe(
      'Konto;1\n\nid;date;N;Text;reject_code;reject_reason\n1;2026-03-02;5.00;a;INSUFFICIENT_CREDIT;"no; money"\n' +
        '2;2026-03-03;6.00;b;INSUFFICIENT_CREDIT;"no; money"\nSumme;;11.00\n---\n',
    );
    expect(await rejectsOf("b.csv", first, flags)).toEqual(first);
  });
});
