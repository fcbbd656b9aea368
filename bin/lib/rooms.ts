/** Follows calls through the sources, as they are written. */
import { join, relative } from "node:path";
import ts from "typescript";

/** A function of a file. */
export interface Place {
  /** Path from the root of the repository. */
  readonly file: string;
  readonly name: string;
}

/** A walk from one function: the files in the order in which they are entered, and again when they are come back to. */
export interface Route {
  readonly name: string;
  readonly stays: readonly string[];
  /** How often a file is come back to. */
  readonly returns: number;
}

/**
 * Follows the calls of each function in the order in which they are written, each into its body, every time that it is
 * called; a function that is handed on (to map, say) counts as called. Packages and types do not count.
 * @throws Error for a function that is not there
 */
export function routesOf(root: string, places: readonly Place[]): Route[] {
  const config = ts.readConfigFile(join(root, "tsconfig.json"), ts.sys.readFile) as { config: object };
  const { options } = ts.parseJsonConfigFileContent(config.config, ts.sys, root);
  const program = ts.createProgram([...new Set(places.map(({ file }) => join(root, file)))], options);
  return places.map(({ file, name }) => {
    const start = program
      .getSourceFile(join(root, file))
      ?.statements.find(
        (statement): statement is ts.FunctionDeclaration =>
          ts.isFunctionDeclaration(statement) && statement.name?.text === name,
      );
    if (start === undefined) throw new Error(`${file} has no function ${name}`);
    const stays = walk(start, { root, checker: program.getTypeChecker() });
    return { name, stays, returns: stays.length - new Set(stays).size };
  });
}

function walk(
  start: ts.FunctionDeclaration,
  { root, checker }: { readonly root: string; readonly checker: ts.TypeChecker },
): string[] {
  const stays: string[] = [];
  const enter = (file: string): void => {
    if (stays.at(-1) !== file) stays.push(file);
  };
  const visit = (body: ts.Node, file: string, within: readonly ts.Node[]): void => {
    ts.forEachChild(body, function look(node): void {
      // What is written within the call happens before it.
      ts.forEachChild(node, look);
      const callee = ts.isIdentifier(node) && isUsed(node) ? functionOf(node, checker) : undefined;
      if (callee?.body === undefined || within.includes(callee)) return;
      const there = relative(root, callee.getSourceFile().fileName);
      enter(there);
      visit(callee.body, there, [...within, callee]);
      enter(file);
    });
  };
  const file = relative(root, start.getSourceFile().fileName);
  enter(file);
  if (start.body !== undefined) visit(start.body, file, [start]);
  return stays;
}

/** True for a name that is called or handed on, not for one that is declared or imported. */
function isUsed({ parent }: ts.Identifier): boolean {
  return (
    (ts.isCallExpression(parent) || ts.isShorthandPropertyAssignment(parent) || ts.isArrayLiteralExpression(parent)) &&
    !ts.isImportSpecifier(parent)
  );
}

function functionOf(name: ts.Identifier, checker: ts.TypeChecker): ts.FunctionDeclaration | undefined {
  const symbol = ts.isShorthandPropertyAssignment(name.parent)
    ? checker.getShorthandAssignmentValueSymbol(name.parent)
    : checker.getSymbolAtLocation(name);
  if (symbol === undefined) return undefined;
  const target = symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
  const declaration = target.declarations?.find(ts.isFunctionDeclaration);
  return declaration?.getSourceFile().fileName.includes("node_modules") === false ? declaration : undefined;
}
