import { describe, expect, it } from "@jest/globals";
import { toOperatorError } from "../../lib/core/errors.ts";
import { createQuestions } from "./questions.ts";

// Goal: however much one release asks, the process has few questions at once, and the others get their turn.

/** Questions that are answered when the test says so. */
function world() {
  const questions = createQuestions();
  const underWay: { readonly release: string; readonly answer: () => void; readonly fail: () => void }[] = [];
  const answered: Promise<string>[] = [];
  const ask = (release: string, times: number): void => {
    for (let time = 0; time < times; time += 1) {
      const question = () =>
        new Promise<string>((resolve, reject) => {
          underWay.push({ release, answer: () => resolve(release), fail: () => reject(new Error(release)) });
        });
      answered.push(questions(release, question).catch((error: unknown) => `failed ${toOperatorError(error).message}`));
    }
  };
  const settle = () => new Promise<void>((resolve) => void setImmediate(resolve));
  const releases = () => underWay.map(({ release }) => release);
  return { ask, underWay, answered, settle, releases };
}

describe("questions", () => {
  it("are 16 at once", async () => {
    const { ask, underWay, answered, settle } = world();
    ask("a", 40);
    await settle();
    expect(underWay).toHaveLength(16);
    underWay.splice(0, 1)[0]?.answer();
    underWay.splice(0, 1)[0]?.fail();
    await settle();
    expect(underWay).toHaveLength(16);
    for (let left = 38; left > 0; left -= 1) {
      underWay.splice(0, 1)[0]?.answer();
      await settle();
    }
    const answers = await Promise.all(answered);
    expect([answers.filter((of) => of === "a").length, answers.filter((of) => of === "failed a").length]).toEqual([
      39, 1,
    ]);
  });

  it("of a release with few come before those of one with many", async () => {
    const { ask, underWay, settle, releases } = world();
    ask("many", 100);
    ask("few", 2);
    ask("other", 2);
    await settle();
    for (let time = 0; time < 4; time += 1) {
      underWay.splice(0, 1)[0]?.answer();
      await settle();
    }
    expect(releases().filter((release) => release !== "many")).toEqual(["few", "other", "few", "other"]);
  });

  it("of more releases than there are places take turns", async () => {
    const { ask, underWay, settle, releases } = world();
    const names = Array.from({ length: 20 }, (_, index) => `release-${index}`);
    for (const name of names) ask(name, 30);
    await settle();
    const begun = new Set(releases());
    // The first one has all places, for nobody else was there; one question of each of the others ends that.
    for (let time = 0; time < 20; time += 1) {
      underWay.splice(0, 1)[0]?.answer();
      await settle();
      for (const release of releases()) begun.add(release);
    }
    expect(begun.size).toBe(20);
  });
});
