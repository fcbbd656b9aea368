/** Where another pod of this ledger claims keys of a shard that this one writes. No part of the API: clients find nothing here. */
import type { TLSSocket } from "node:tls";
import type { FastifyInstance } from "fastify";
import { OperatorError } from "../../lib/core/errors.ts";
import { CLAIMS_BYTES_MAX, CLAIMS_PATH, decodeClaims, encodeClaimResults } from "./claim-messages.ts";
import { parseJsonBody } from "./json-numbers.ts";
import type { LedgerRouter } from "./ledger.router.ts";

export function addClaimsRoute(
  app: FastifyInstance,
  { router, isPeer }: { readonly router: LedgerRouter; readonly isPeer: (socket: TLSSocket) => boolean },
): void {
  // The client's own key comes with it, and is checked as at the pod before.
  app.post(CLAIMS_PATH, { config: { scope: "write", bodyBytesMax: CLAIMS_BYTES_MAX } }, async (request, reply) => {
    const { body } = request;
    if (!isPeer(request.raw.socket as TLSSocket) || !(body instanceof Buffer)) {
      throw new OperatorError("ROUTE_NOT_FOUND", `${request.method} ${CLAIMS_PATH} does not exist`);
    }
    const { owner, group } = decodeClaims(parseJsonBody(body, (values) => request.holding?.take("values", values)));
    const results = await router.claimKeys(owner, { ...group, actor: request.actingKey?.id });
    return reply.type("application/json").send(encodeClaimResults(results));
  });
}
