import { createHmac } from "node:crypto";
import { createMemo } from "../../lib/core/memo.ts";
import type { Certificates } from "../kit/pki/certificates.ts";
import { type MadePki, makePki, WAY_OUT } from "../kit/pki/make.ts";
import { askedRotation } from "../kit/pki/objects.ts";
import type { RolePasswords } from "./creditledger.facts.ts";
import { ledgerNames } from "./creditledger.names.ts";
import type { World } from "./creditledger.observe.ts";

// The one place of a ledger's controller that uses randomness and keys, so that all decisions stay pure. Roots (admin
// key, passwords) are made only when their Secret is absent, and what depends on them (verifiers) only from what the
// cache holds: a root made twice by a stale cache is discarded by `create`, and nothing was derived from it.

/** Sources of what cannot be computed from the world. */
export interface Sources {
  readonly certificates: Certificates;
  /** SCRAM-SHA-256 verifier of a password; `lib/node/scram.ts`. */
  readonly scramVerifier: (password: string, salt: Uint8Array) => string;
  /** Cryptographically secure random bytes. */
  readonly randomBytes: (size: number) => Uint8Array;
}

/** What was made for one reconcile. Absent members were not needed or cannot be made yet. */
export interface Made {
  readonly pki: MadePki;
  /** New raw API key: Secret `l-admin-key` is absent. */
  readonly adminKey?: string;
  /** New passwords: Secret `l-roles` is absent. */
  readonly passwords?: RolePasswords;
  /** Verifiers of the passwords in `l-roles`. */
  readonly verifiers?: RolePasswords;
  /** A kept root that cannot be used, and the way out. */
  readonly problem?: string;
}

/** 256 bits: guessing is out of the question, so PostgreSQL's default of 4,096 rounds is enough. */
const SECRET_BYTES = 32;

/** Salt of SCRAM: PostgreSQL's own length. */
const SALT_BYTES = 16;

/** Ledgers whose verifiers are remembered: three verifiers take some 5 ms of processor time. */
const REMEMBERED_MAX = 1_000;

/** Prefix of raw API keys, so that secret scanners can find a leaked one. */
const ADMIN_KEY_PREFIX = "sxk_";

/** Makes what a reconcile needs. @returns a function that takes the world and the time (milliseconds since the epoch) */
export function createMaker(sources: Sources): (world: World, now: number) => Promise<Made> {
  const verifiersOf = rememberedVerifiers(sources.scramVerifier);
  return async (world, now) => {
    const secret = (): string => Buffer.from(sources.randomBytes(SECRET_BYTES)).toString("base64url");
    const { name, namespace } = world.target.owner;
    const passwords = world.roles?.value;
    const broken = brokenRoot(world);
    const asked = askedRotation(world.ledger);
    const needs = { ...world, commonName: `${namespace}/${name} ledger CA`, asked };
    return {
      // Nothing is made while a root cannot be used: people decide what becomes of kept data.
      pki: broken === undefined ? await makePki(sources.certificates, needs, now) : { leaves: new Map() },
      ...(broken !== undefined && { problem: broken }),
      ...(world.adminKey === undefined && { adminKey: `${ADMIN_KEY_PREFIX}${secret()}` }),
      ...(world.roles === undefined && { passwords: { owner: secret(), writer: secret(), reader: secret() } }),
      ...(passwords !== undefined && { verifiers: verifiersOf(name, passwords) }),
    };
  };
}

/** A kept Secret with a part missing: it is never written over, since it may be the only key to data. */
function brokenRoot({ adminKey, roles }: World): string | undefined {
  const broken = [adminKey, roles].find((secret) => secret !== undefined && secret.value === undefined);
  return broken && `Secret ${broken.name} lacks a key or its value; ${WAY_OUT}`;
}

/**
 * Verifiers with a salt derived from password and role, so that the same password always gives the same request and
 * an unchanged ledger writes nothing. The salt tells no more than the verifier itself does.
 */
function rememberedVerifiers(
  scramVerifier: Sources["scramVerifier"],
): (ledger: string, passwords: RolePasswords) => RolePasswords {
  const remembered = createMemo<RolePasswords>(REMEMBERED_MAX);
  const verifier = (password: string, role: string): string =>
    scramVerifier(
      password,
      createHmac("sha256", password).update(`scram salt of ${role}`).digest().subarray(0, SALT_BYTES),
    );
  return (ledger, passwords) => {
    const names = ledgerNames(ledger);
    // The passwords are in the cache's memory anyway; a digest as key would cost time and hide nothing.
    const key = [ledger, passwords.owner, passwords.writer, passwords.reader].join("\0");
    return remembered(key, () => ({
      owner: verifier(passwords.owner, names.ownerRole),
      writer: verifier(passwords.writer, names.writerRole),
      reader: verifier(passwords.reader, names.readerRole),
    }));
  };
}
