import { afterAll, beforeAll } from "@jest/globals";
import type { KubeClient } from "../lib/kube/client.ts";
import type { ResourceType } from "../lib/kube/types.ts";
import { applyCases } from "./contract/apply.ts";
import { applyListCases } from "./contract/apply-lists.ts";
import { errorCases } from "./contract/errors.ts";
import { faultCases } from "./contract/faults.ts";
import { garbageCases } from "./contract/garbage.ts";
import { goneCases } from "./contract/gone.ts";
import { kindCases } from "./contract/kinds.ts";
import { leaseCases } from "./contract/leases.ts";
import { listCases } from "./contract/lists.ts";
import { objectCases } from "./contract/objects.ts";
import { patchCases } from "./contract/patches.ts";
import type { ContractCases, ContractServer } from "./contract/server.ts";
import { statusCases } from "./contract/status.ts";
import { watchCases } from "./contract/watch.ts";
import { eventually } from "./wait.ts";

/** Themes that share a server; each case uses names of its own. */
const THEMES: readonly ContractCases[] = [
  objectCases,
  statusCases,
  patchCases,
  applyCases,
  applyListCases,
  listCases,
  watchCases,
  kindCases,
  errorCases,
  leaseCases,
];

/**
 * What every test relies on, asked of the fake and of a real API server alike: where they differ, the fake is wrong.
 */
export function describeKubeContract(start: () => Promise<ContractServer>): void {
  describeCases(start, THEMES);
}

/** What happens when a server forgets its past: it needs a server of its own. */
export function describeGoneContract(start: () => Promise<ContractServer>): void {
  describeCases(start, [goneCases]);
}

/** What the faults do that both servers can be given: the same to a client, whoever is behind. */
export function describeFaultContract(start: () => Promise<ContractServer>): void {
  describeCases(start, [faultCases]);
}

/** What the garbage collector does, on servers that have one. */
export function describeGarbageContract(start: () => Promise<ContractServer>): void {
  describeCases(start, [garbageCases]);
}

function describeCases(start: () => Promise<ContractServer>, themes: readonly ContractCases[]): void {
  let server: ContractServer;
  beforeAll(async () => {
    server = await start();
  });
  afterAll(() => server.stop());
  for (const theme of themes) theme(() => server);
}

/** Waits until a real server serves a kind. */
export async function waitForKind(client: KubeClient, type: ResourceType): Promise<void> {
  await eventually(`${type.kind} is served`, () =>
    client.list(type, { namespace: "default", retries: 0 }).then(
      () => true,
      () => false,
    ),
  );
}
