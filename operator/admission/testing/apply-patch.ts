import type { PatchOperation } from "../json-patch.ts";

/** Carries out a patch of RFC 6902 as strictly as the API server does. @throws Error when a path leads nowhere */
export function applyPatch(document: unknown, operations: readonly PatchOperation[]): unknown {
  let result: unknown = structuredClone(document);
  for (const operation of operations) {
    const tokens = operation.path
      .split("/")
      .slice(1)
      .map((token) => token.replaceAll("~1", "/").replaceAll("~0", "~"));
    const last = tokens.pop();
    if (last === undefined) {
      if (operation.op === "remove") throw new Error("the whole document cannot be removed");
      result = structuredClone(operation.value);
      continue;
    }
    let parent = result;
    for (const token of tokens) {
      if (typeof parent !== "object" || parent === null || !Object.hasOwn(parent, token)) {
        throw new Error(`${operation.path}: no ${token}`);
      }
      parent = (parent as Record<string, unknown>)[token];
    }
    if (Array.isArray(parent)) change(parent, last, operation);
    else if (typeof parent === "object" && parent !== null) {
      if (operation.op !== "add" && !Object.hasOwn(parent, last)) throw new Error(`${operation.path}: no such member`);
      if (operation.op === "remove") delete (parent as Record<string, unknown>)[last];
      else (parent as Record<string, unknown>)[last] = structuredClone(operation.value);
    } else throw new Error(`${operation.path}: not in a map or list`);
  }
  return result;
}

function change(list: unknown[], token: string, operation: PatchOperation): void {
  const index = Number(token);
  const end = operation.op === "add" ? list.length : list.length - 1;
  if (String(index) !== token || index < 0 || index > end) {
    throw new Error(`${operation.path}: no such item`);
  }
  if (operation.op === "remove") list.splice(index, 1);
  else list.splice(index, operation.op === "add" ? 0 : 1, structuredClone(operation.value));
}
