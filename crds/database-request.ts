import { z } from "zod";
import { contentHash } from "../lib/core/canonical.ts";
import { OperatorError } from "../lib/core/errors.ts";
import { isScramVerifier } from "../lib/core/scram-verifier.ts";

/** Key of a request Secret's data that holds the request as JSON. */
export const DATABASE_REQUEST_KEY = "request.json";

/** Key of Secret `<shardset>-databases` that holds all requests as JSON. */
export const DATABASES_KEY = "databases.json";

const NAME = /^[a-z][a-z0-9_]{0,62}$/;

/** Names that PostgreSQL or the shard agent keeps for itself. */
const RESERVED = /^(pg_.*|shieldx_.*|postgres|template0|template1|public)$/;

const name = z
  .string()
  .regex(NAME, "must be a lower-case letter followed by at most 62 letters, digits and '_'")
  .refine((value) => !RESERVED.test(value), "is a name that PostgreSQL or the shard agent keeps for itself");

const role = z.strictObject({
  name,
  verifier: z.string().refine(isScramVerifier, "must be a SCRAM-SHA-256 verifier, never a password"),
});

/** A role that a database request asks for; the password appears only as its SCRAM-SHA-256 verifier. */
export type RequestedRole = z.output<typeof role>;

/** One database with its three roles, on every shard of a ShardSet. */
export const databaseRequest = z
  .strictObject({
    database: name,
    owner: role,
    writer: role,
    reader: role,
    /** True removes the database and its roles from every shard. */
    drop: z.boolean().exactOptional(),
  })
  .refine(
    ({ owner, writer, reader }) => new Set([owner.name, writer.name, reader.name]).size === 3,
    "owner, writer and reader must be three different roles",
  );
export type DatabaseRequest = z.output<typeof databaseRequest>;

const databases = z.strictObject({ databases: z.array(databaseRequest) });

/**
 * Reads one request.
 * @throws OperatorError DATABASE_REQUEST_INVALID; the message names the field and never quotes a value
 */
export function parseDatabaseRequest(json: string): DatabaseRequest {
  return parse(databaseRequest, json);
}

/** Reads the merged list that the controller hands to the agents. @throws OperatorError DATABASE_REQUEST_INVALID */
export function parseDatabases(json: string): readonly DatabaseRequest[] {
  return parse(databases, json).databases;
}

/** Identifies the content of a request: agents report the hash of what they have carried out. */
export function requestHash(request: DatabaseRequest): string {
  return contentHash(request);
}

function parse<T>(schema: z.ZodType<T>, json: string): T {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    // The parser's message quotes the text, which holds verifiers.
    throw new OperatorError("DATABASE_REQUEST_INVALID", "the database request is not JSON");
  }
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const field = issue?.path.join(".") ?? "";
  throw new OperatorError(
    "DATABASE_REQUEST_INVALID",
    `the database request is not valid: ${field === "" ? "" : `${field}: `}${issue?.message ?? "unknown problem"}`,
  );
}
