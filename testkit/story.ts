import { readFileSync, writeFileSync } from "node:fs";
import { expect } from "@jest/globals";
import { prng } from "../lib/core/prng.ts";
import { environment } from "../lib/node/env.ts";
import type { Condition, Controller, Key } from "../operator/runtime/types.ts";
import type { MemoryWorld } from "./memory-world.ts";

// A story runs a whole controller in a world in memory together with what others do there (kubelet, Jobs, agents), to rest,
// and keeps a readable transcript. The same world in any order of steps has to come to the same rest.

/** One small step of somebody else. @returns what it did in words; `undefined` when there was nothing left to do */
export type StoryStep<W extends MemoryWorld = MemoryWorld> = (world: W) => string | undefined;

/** Who takes part. */
export interface StoryCast<W extends MemoryWorld = MemoryWorld> {
  readonly world: W;
  readonly controller: Pick<Controller, "reconcile">;
  readonly key: Key;
  /** The kind of the key, whose condition `Ready` the transcript shows. */
  readonly kind: string;
  /** What others do, in the order in which they get their turn. */
  readonly steps: readonly StoryStep<W>[];
  /** A reconcile that wants to look again within this time gets it, before the story is at rest; 0 unless told. */
  readonly waitSeconds?: number;
}

/** More rounds than any story needs: one that does not come to rest is a bug. */
const ROUNDS_MAX = 60;

/** One reconcile. @returns what it changed, one line a write @throws what the controller throws, or tells as its error */
export async function reconcileOnce<W extends MemoryWorld>({
  controller,
  key,
  world,
}: StoryCast<W>): Promise<string[]> {
  const { error } = await controller.reconcile(key, world.context);
  if (error !== undefined) throw error;
  return world.takeTranscript();
}

/**
 * Reconciles until nothing changes, then gives each of the others a turn, until nobody has anything left to do.
 * @returns the transcript: writes indented, a status as its condition `Ready`, after a dot the first of the others that
 * had something to do in its turn
 * @throws Error with the transcript when there is no rest
 */
export async function toRest<W extends MemoryWorld>(cast: StoryCast<W>): Promise<string[]> {
  const { world, steps } = cast;
  const lines: string[] = [];
  for (let round = 0; round < ROUNDS_MAX; round += 1) {
    const { requeueAfterSeconds = Number.POSITIVE_INFINITY } = await cast.controller.reconcile(cast.key, world.context);
    const wrote = world.takeTranscript();
    lines.push(...wrote.map((line) => (line === "status" ? readyText(cast) : `  ${line}`)));
    if (wrote.some((line) => line !== "status")) continue;
    const [step] = steps.map((take) => take(world)).filter((done) => done !== undefined);
    if (step !== undefined) lines.push(`· ${step}`);
    else if (wrote.length === 0 && requeueAfterSeconds <= (cast.waitSeconds ?? 0)) {
      await world.clock.advance(requeueAfterSeconds * 1_000);
    } else if (wrote.length === 0) return lines;
  }
  throw new Error(`no rest after ${ROUNDS_MAX} rounds:\n${lines.join("\n")}`);
}

/** Steps and reconciles in an order that a seed draws, then to rest. @throws Error with the seed when there is no rest */
export async function toRestInRandomOrder<W extends MemoryWorld>(
  cast: StoryCast<W>,
  seed: number,
  turns = 150,
): Promise<void> {
  const random = prng(seed);
  try {
    for (let turn = 0; turn < turns; turn += 1) {
      const step = cast.steps[Math.floor(random() * cast.steps.length)];
      if (random() < 0.5) step?.(cast.world);
      if (random() < 0.5) await reconcileOnce(cast);
    }
    await toRest(cast);
  } catch (error) {
    throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error });
  }
}

/** A condition of the story's resource. */
export function conditionOf(cast: Pick<StoryCast, "world" | "kind" | "key">, type: string): Condition | undefined {
  const status = cast.world.find(cast.kind, cast.key.name)?.["status"] as
    | { readonly conditions?: readonly Condition[] }
    | undefined;
  return status?.conditions?.find((entry) => entry.type === type);
}

/** `Kind name` of all objects of these kinds: two worlds at rest are compared by it. */
export function namesIn(world: MemoryWorld, kinds: readonly string[]): string[] {
  return kinds.flatMap((kind) => world.all(kind).map(({ metadata }) => `${kind} ${metadata.name}`));
}

/**
 * Compares a transcript with `<directory>/__golden__/<name>.story.txt`; `make update-golden` writes it.
 * @param directory of the test: `import.meta.dirname`
 */
export function expectGolden(directory: string, name: string, lines: readonly string[]): void {
  const path = `${directory}/__golden__/${name}.story.txt`;
  const text = `${lines.join("\n")}\n`;
  if (environment()["SHIELDX_UPDATE_GOLDEN"] === "1") writeFileSync(path, text);
  expect(text).toBe(readFileSync(path, "utf8"));
}

function readyText(cast: Pick<StoryCast, "world" | "kind" | "key">): string {
  const ready = conditionOf(cast, "Ready");
  return ready === undefined ? "" : `  Ready=${ready.status} ${ready.reason}: ${ready.message}`;
}
