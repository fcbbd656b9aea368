import type { CreditLedger } from "../../../crds/creditledger.ts";
import type { Controller } from "../../../operator/runtime/types.ts";
import { createMemoryWorld, type MemoryWorld } from "../../../testkit/memory-world.ts";
import { NAMESPACE } from "./builders.ts";

export type World = MemoryWorld;

/** @param indexes of the controller, over ledgers */
export function createWorld(indexes: Controller<CreditLedger>["indexes"] = {}): World {
  return createMemoryWorld({ namespace: NAMESPACE, indexes, verbWidth: "create".length });
}
