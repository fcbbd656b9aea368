import { describe, expect, test } from "@jest/globals";
import { createManualClock } from "../../lib/core/manual-clock.ts";
import { silentLogger } from "../../lib/node/logger.ts";
import { GIB, MIB } from "./byte-sizes.ts";
import { createDiskKeeper, type DiskKeeper } from "./disk-keeper.ts";
import type { WriteFailure } from "./disk-pressure.ts";

const RUNNING = { serverDown: false, isOurs: true };

/** A volume of 1 GiB in memory, `used` of it by others than the keeper. */
function createVolume(): {
  used: number;
  ballast: number | undefined;
  failure: WriteFailure | undefined;
  hang: Promise<unknown> | undefined;
  probes: number;
} {
  return { used: 100 * MIB, ballast: undefined, failure: undefined, hang: undefined, probes: 0 };
}

function keeperOf(volume: ReturnType<typeof createVolume>): {
  keeper: DiskKeeper;
  clock: ReturnType<typeof createManualClock>;
} {
  const clock = createManualClock();
  const keeper = createDiskKeeper({
    clock,
    log: silentLogger,
    volume: {
      read: async () => ({
        totalBytes: GIB,
        freeBytes: GIB - volume.used - (volume.ballast ?? 0),
        totalInodes: 0,
        freeInodes: 0,
        ballastBytes: volume.ballast,
      }),
      probe: async () => {
        volume.probes += 1;
        await volume.hang;
        return volume.failure;
      },
      makeBallast: async (bytes) => void (volume.ballast = bytes),
      releaseBallast: async () => void (volume.ballast = 0),
    },
  });
  return { keeper, clock };
}

describe("a volume that fills up", () => {
  test("refuses writes, gives the ballast up, and takes both back", async () => {
    const volume = createVolume();
    const { keeper } = keeperOf(volume);
    expect(await keeper.look(RUNNING)).toMatchObject({ level: "enough" });
    expect(volume.ballast).toBe(64 * MIB);
    expect(keeper.refusal()).toBeUndefined();

    volume.used = GIB - 64 * MIB;
    expect(await keeper.look(RUNNING)).toMatchObject({ level: "full", freeBytes: 64 * MIB });
    expect(volume.ballast).toBe(0);
    expect(keeper.refusal()).toMatchObject({
      reason: "DiskFull",
      message: expect.stringContaining("writes are refused until 112 MiB are free"),
    });
    // Others take what was given up: nothing more can be done, and the volume is still full.
    volume.used = GIB;
    expect(await keeper.look({ serverDown: true, isOurs: true })).toMatchObject({ level: "full", freeBytes: 0 });

    volume.used = 300 * MIB;
    expect(await keeper.look(RUNNING)).toMatchObject({ level: "enough" });
    expect(volume.ballast).toBe(64 * MIB);
    expect(keeper.refusal()).toBeUndefined();
  });

  test("nothing is written to a volume that is not known to be ours", async () => {
    const volume = createVolume();
    const { keeper } = keeperOf(volume);
    volume.ballast = 64 * MIB;
    volume.used = GIB - 64 * MIB;
    expect(await keeper.look({ serverDown: true, isOurs: false })).toMatchObject({ level: "full" });
    expect(volume).toMatchObject({ ballast: 64 * MIB, probes: 0 });
  });
});

describe("the small write", () => {
  test("is done every ten seconds, and every two while it fails", async () => {
    const volume = createVolume();
    const { keeper, clock } = keeperOf(volume);
    for (let second = 0; second < 20; second += 1) {
      await keeper.look(RUNNING);
      await clock.advance(1_000);
    }
    expect(volume.probes).toBe(2);
    volume.failure = { code: "EROFS", message: "EROFS: read-only file system" };
    await keeper.look(RUNNING);
    expect(keeper.refusal()).toMatchObject({ reason: "VolumeUnwritable", message: expect.stringContaining("EROFS") });
    volume.failure = undefined;
    await clock.advance(2_000);
    await keeper.look(RUNNING);
    expect(keeper.refusal()).toBeUndefined();
  });

  test("that hangs is told after five seconds and not begun again", async () => {
    const volume = createVolume();
    const { keeper, clock } = keeperOf(volume);
    const hang = Promise.withResolvers<boolean>();
    volume.hang = hang.promise;
    const looking = keeper.look(RUNNING);
    await clock.advance(5_000);
    expect(await looking).toMatchObject({ level: "unwritable", message: expect.stringContaining("within 5 s") });
    const again = keeper.look(RUNNING);
    await clock.advance(5_000);
    await again;
    expect(volume.probes).toBe(1);
    hang.resolve(true);
    await clock.advance(1);
    expect(await keeper.look(RUNNING)).toMatchObject({ level: "enough" });
  });
});
