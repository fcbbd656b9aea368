import { readFile } from "node:fs/promises";
import { Agent } from "undici";
import type { Clock } from "../core/clock.ts";
import { OperatorError } from "../core/errors.ts";

/** The `config` of a kubeconfig's auth-provider "oidc", under its own names. */
export type OidcSettings = Readonly<Record<string, string | undefined>>;

/** A token that renews itself. */
export interface OidcTokens {
  /** An ID token that is good for a while yet. @throws OperatorError KUBE_CONFIG_INVALID, KUBE_UNAUTHORIZED */
  idToken(): Promise<string>;
}

/** As kubectl: a token that ends sooner may have ended when the request arrives. */
const EXPIRY_MARGIN_MS = 10_000;
const TIMEOUT_MS = 10_000;
/** Documents of providers have some kilobytes. */
const ANSWER_LENGTH_MAX = 1_000_000;

/**
 * Renews ID tokens by their refresh token (OpenID Connect Core, section 12). client-node does not: it hands the issuer
 * as text to a library that wants a URL. New tokens stay in memory; kubectl would write them into the kubeconfig.
 */
export function createOidcTokens(settings: OidcSettings, clock: Clock): OidcTokens {
  let idToken = settings["id-token"];
  let refreshToken = settings["refresh-token"];
  let renewing: Promise<string> | undefined;

  const isGood = (token: string | undefined): token is string =>
    token !== undefined && expiryOf(token) - EXPIRY_MARGIN_MS > clock.now();

  const renew = async (): Promise<string> => {
    const issuer = settings["idp-issuer-url"];
    const clientId = settings["client-id"];
    if (issuer === undefined || clientId === undefined || refreshToken === undefined) {
      throw new OperatorError("KUBE_CONFIG_INVALID", "the kubeconfig's ID token has expired and cannot be renewed");
    }
    const ca = await readCa(settings);
    const agent = new Agent(ca === undefined ? {} : { connect: { ca } });
    try {
      const provider = await ask(`${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`, { agent });
      const form = new URLSearchParams({
        grant_type: "refresh_token",
        refresh_token: refreshToken,
        client_id: clientId,
        ...(settings["client-secret"] ? { client_secret: settings["client-secret"] } : {}),
      });
      const answer = await ask(String(provider["token_endpoint"]), { agent, form });
      if (typeof answer["id_token"] !== "string") throw refused(issuer, "it sends no ID token");
      idToken = answer["id_token"];
      // Some providers give a new one each time, and take the old one only once.
      if (typeof answer["refresh_token"] === "string") refreshToken = answer["refresh_token"];
      return idToken;
    } finally {
      await agent.close();
    }
  };

  return {
    idToken: async () => {
      if (isGood(idToken)) return idToken;
      // One renewal for all who wait: a second one with the same refresh token may be refused.
      renewing ??= renew().finally(() => {
        renewing = undefined;
      });
      return renewing;
    },
  };
}

/** End of a token's life, milliseconds since the epoch; 0 when it is no JWT. Nothing is verified: the API server does. */
function expiryOf(token: string): number {
  try {
    const claims = JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString("utf8")) as {
      exp?: unknown;
    };
    return typeof claims.exp === "number" ? claims.exp * 1000 : 0;
  } catch {
    return 0;
  }
}

async function readCa(settings: OidcSettings): Promise<string | undefined> {
  const data = settings["idp-certificate-authority-data"];
  if (data !== undefined) return Buffer.from(data, "base64").toString("utf8");
  const file = settings["idp-certificate-authority"];
  return file === undefined ? undefined : readFile(file, "utf8");
}

async function ask(
  url: string,
  how: { readonly agent: Agent; readonly form?: URLSearchParams },
): Promise<Record<string, unknown>> {
  try {
    const { origin, pathname, search } = new URL(url);
    const { statusCode, body } = await how.agent.request({
      origin,
      path: `${pathname}${search}`,
      method: how.form === undefined ? "GET" : "POST",
      headers: { accept: "application/json", ...(how.form === undefined ? {} : { "content-type": FORM_TYPE }) },
      body: how.form?.toString() ?? null,
      headersTimeout: TIMEOUT_MS,
      bodyTimeout: TIMEOUT_MS,
    });
    const text = (await body.text()).slice(0, ANSWER_LENGTH_MAX);
    const answer = JSON.parse(text) as Record<string, unknown>;
    // The provider's code (RFC 6749, section 5.2); its description may repeat what was sent.
    const { error } = answer;
    if (statusCode !== 200) throw refused(url, `HTTP ${statusCode} ${typeof error === "string" ? error : ""}`.trim());
    return answer;
  } catch (cause) {
    if (cause instanceof OperatorError) throw cause;
    throw refused(url, "it does not answer as an OpenID provider", cause);
  }
}

const FORM_TYPE = "application/x-www-form-urlencoded";

function refused(url: string, why: string, cause?: unknown): OperatorError {
  return new OperatorError("KUBE_UNAUTHORIZED", `the ID token could not be renewed at ${url}: ${why}`, { cause });
}
