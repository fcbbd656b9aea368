// What tests, demos and benchmarks start beside themselves, written down where the next run finds it: a run that was
// killed cannot clean up, so whoever comes next does. Everything is named by an id that no stranger's thing can have
// later (process and start time, a random container name, a folder of mkdtemp), and nothing else is touched.
import { type ChildProcess, execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A process that only looks the same has another time of start. */
interface ProcessId {
  readonly pid: number;
  readonly started: string;
}

type Item =
  | ({ readonly type: "process" } & ProcessId)
  | { readonly type: "container"; readonly name: string }
  | { readonly type: "folder"; readonly path: string };

interface Entry {
  readonly owner: ProcessId;
  readonly item: Item;
}

/** The folders that `clearLeftovers` may remove begin with this, and so do the containers. */
const PREFIX = "shieldx-";

const REGISTER = join(tmpdir(), `${PREFIX}leftovers`);

let owner: ProcessId | undefined;
let count = 0;

/** Writes down a program that this process has started; struck out when it ends. */
export function trackChild(child: ChildProcess): void {
  const started = child.pid === undefined ? undefined : startOf(child.pid);
  if (child.pid === undefined || started === undefined) return;
  child.once("exit", track({ type: "process", pid: child.pid, started }));
}

/** Writes down a container. @returns what strikes it out, once it is removed */
export function trackContainer(name: string): () => void {
  return track({ type: "container", name });
}

/** A new folder for temporary files, mode 0700, which goes with the next run if this one does not remove it. */
export function temporaryFolder(name: string): string {
  const path = mkdtempSync(join(tmpdir(), `${PREFIX}${name}-`));
  track({ type: "folder", path });
  return path;
}

/** Removes what runs that are gone have left. @returns what it was, a line each */
export function clearLeftovers(): string[] {
  const stale = entries().filter(({ entry }) => !isRunning(entry.owner));
  const removed = ["process", "container", "folder"].flatMap((type) =>
    stale.flatMap(({ entry: { item } }) => (item.type === type ? remove(item) : [])),
  );
  for (const { file } of stale) rmSync(file, { force: true });
  return removed;
}

function track(item: Item): () => void {
  owner ??= firstUse();
  mkdirSync(REGISTER, { recursive: true });
  const file = join(
    REGISTER,
    `${String(owner.pid)}-${String(performance.timeOrigin)}-${String((count += 1))}-${item.type}.json`,
  );
  writeFileSync(file, JSON.stringify({ owner, item } satisfies Entry));
  return () => rmSync(file, { force: true });
}

function firstUse(): ProcessId {
  for (const line of clearLeftovers()) process.stderr.write(`left by a run that was killed, removed: ${line}\n`);
  return { pid: process.pid, started: startOf(process.pid) ?? "" };
}

function entries(): { file: string; entry: Entry }[] {
  let names: string[];
  try {
    names = readdirSync(REGISTER);
  } catch {
    return [];
  }
  return names.flatMap((name) => {
    const file = join(REGISTER, name);
    try {
      return [{ file, entry: JSON.parse(readFileSync(file, "utf8")) as Entry }];
    } catch {
      // Struck out or half written just now, by its living owner.
      return [];
    }
  });
}

function remove(item: Item): string[] {
  switch (item.type) {
    case "process":
      if (!isRunning(item)) return [];
      process.kill(item.pid, "SIGKILL");
      return [`process ${String(item.pid)}`];
    case "container":
      if (!item.name.startsWith(PREFIX)) return [];
      execFileSync("podman", ["rm", "--force", "--ignore", "--time=0", "--volumes", item.name], { stdio: "ignore" });
      return [`container ${item.name}`];
    case "folder":
      return removeFolder(item.path);
  }
}

function removeFolder(path: string): string[] {
  if (!path.startsWith(join(tmpdir(), PREFIX))) return [];
  try {
    readdirSync(path);
  } catch {
    return [];
  }
  unmountBelow(path);
  rmSync(path, { recursive: true, force: true, maxRetries: 5 });
  return [`folder ${path}`];
}

/** A volume of a test may be a file system of its own, whose mount point cannot be removed. */
function unmountBelow(path: string): void {
  if (process.platform !== "linux") return;
  const points = readFileSync("/proc/self/mounts", "utf8")
    .split("\n")
    .flatMap((line) => line.split(" ")[1] ?? []);
  for (const point of points.filter((mounted) => mounted.startsWith(`${path}/`)).reverse()) {
    execFileSync("umount", [point], { stdio: "ignore" });
  }
}

function isRunning({ pid, started }: ProcessId): boolean {
  return startOf(pid) === started;
}

/** When a process was started, in whatever words the system has for it; `undefined` when there is none. */
function startOf(pid: number): string | undefined {
  try {
    if (process.platform === "linux") {
      const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
      const stat = readFileSync(`/proc/${String(pid)}/stat`, "utf8");
      // After the name, which may hold anything: the state, and 19 fields later the start in clock ticks.
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      return fields[0] === "Z" ? undefined : `${boot} ${fields[19] ?? ""}`;
    }
    const lines = execFileSync("ps", ["-o", "lstart=", "-p", String(pid)], { encoding: "utf8", stdio: "pipe" });
    return lines.trim() || undefined;
  } catch {
    return undefined;
  }
}
