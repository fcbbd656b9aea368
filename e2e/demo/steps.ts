/** Does a step of the demo and prints it. */
export type Step = <T>(title: string, work: () => Promise<T>) => Promise<T>;

/** Prints numbered steps with their duration, one line each. */
export function createSteps(total: number): Step {
  let number = 0;
  return async (title, work) => {
    number += 1;
    const label = `[${number}/${total}] ${title}`;
    process.stdout.write(`${label} …\n`);
    const started = performance.now();
    const result = await work();
    const seconds = (performance.now() - started) / 1000;
    process.stdout.write(`${" ".repeat(label.indexOf("]") + 2)}done in ${seconds.toFixed(seconds < 10 ? 1 : 0)} s\n`);
    return result;
  };
}

/** A two-column table with a title line. */
export function formatTable(title: string, rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...rows.map(([name]) => name.length));
  const line = "─".repeat(Math.max(title.length, width + 2 + Math.max(...rows.map(([, value]) => value.length))));
  return [title, line, ...rows.map(([name, value]) => `${name.padEnd(width)}  ${value}`), line].join("\n");
}
