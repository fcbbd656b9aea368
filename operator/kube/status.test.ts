import { expect, it } from "@jest/globals";
import type { KubeClient } from "../../lib/kube/client.ts";
import type { KubeObject } from "../../lib/kube/types.ts";
import { WIDGET, widget } from "../../testkit/widget.ts";
import { createStatusWriter } from "./status.ts";

// Goal: what the server prunes is sent once for as long as its owner lives, and remembered no longer. The rest of the
// status writer is tested with the applier, against a server.

const never = new AbortController().signal;
const PRUNED = { phase: "a" };
const WANTED = { ...PRUNED, unknown: 1 };

function open() {
  const held = new Map<string, KubeObject>();
  const writer = createStatusWriter({
    client: { apply: (async (_type, { metadata }) => make(metadata.name)) as KubeClient["apply"] },
    cache: { overlay: (_type, object) => void held.set(object.metadata.name, object) },
    view: { get: (_type, _namespace, name) => held.get(name) as never },
    type: WIDGET,
    fence: () => undefined,
  });
  const make = (name: string): KubeObject => {
    const object = { ...widget(name, { size: 1 }, { uid: `uid of ${name}` }), status: PRUNED };
    held.set(name, object);
    return object;
  };
  return { held, make, write: (owner: KubeObject) => writer.write(owner, WANTED, never) };
}

it("sends what the server prunes once, among thousands of owners", async () => {
  const { make, write } = open();
  const owners = Array.from({ length: 2_500 }, (_, index) => make(`w${index}`));
  for (const owner of owners) expect(await write(owner)).toBe("written");
  for (const owner of owners) expect(await write(owner)).toBe("unchanged");
});

it("forgets owners that are gone", async () => {
  const { held, make, write } = open();
  const first = make("first");
  const last = make("last");
  for (const owner of [first, last]) await write(owner);
  for (let index = 0; index < 1_000; index += 1) {
    await write(make(`w${index}`));
    if (index === 0) held.delete("first");
  }
  // Back under its uid, which no server does: the only way to ask what is remembered.
  make("first");
  expect(await write(first)).toBe("written");
  expect(await write(last)).toBe("unchanged");
});
