import { expect, it } from "@jest/globals";
import { runRuntimeChaos } from "./runtime.ts";

// The ten minutes of `make chaos CHAOS=runtime` in one and a half, with a shorter Lease and the faults that bite most, so
// that neither the run nor what it proves can rot. A failure prints the seed; the run of that seed repeats it.

it("a minute of chaos leaves the world as the specs ask for, and no fenced-off write in it", async () => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  const lines: string[] = [`SEED=${seed}`];
  const { findings } = await runRuntimeChaos({
    seed,
    seconds: 20,
    widgets: 25,
    leaseTimes: [6, 4, 1],
    faults: [
      "API server killed",
      "API server and leader frozen together",
      "leader frozen for 20 s",
      "leader killed, its pod comes back",
      "leader stopped in order",
    ],
    // A watch that is cut often waits longer each time, up to 30 s: that would be half of this run.
    cutSeconds: { min: 4, spread: 4 },
    restSeconds: 4,
    say: (line) => lines.push(line),
  });
  const failed = findings.filter(({ ok }) => !ok);
  if (failed.length > 0) process.stdout.write(`${lines.join("\n")}\n`);
  expect(failed).toEqual([]);
}, 180_000);
