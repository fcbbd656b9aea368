/** Puts the operations of api-operations.ts onto the server: their paths, scopes and checks. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { OPERATIONS, type Operation, type OperationId, type OperationInput } from "./api-operations.ts";
import { checkParameters } from "./request-checks.ts";

/** Answers a request whose key, path and query were checked. */
export type Handler<Id extends OperationId> = (
  input: OperationInput<Id>,
  request: FastifyRequest,
  reply: FastifyReply,
) => Promise<unknown>;

/** Adds one operation to the server. */
export function addOperation<Id extends OperationId>(app: FastifyInstance, id: Id, handler: Handler<Id>): void {
  const operation: Operation = OPERATIONS[id];
  app.route({
    method: operation.method,
    // A colon begins a parameter unless it is doubled.
    url: operation.path.replaceAll(":", "::").replaceAll(/\{(\w+)\}/g, ":$1"),
    config: {
      ...(operation.scope === undefined ? {} : { scope: operation.scope }),
      ...(operation.bodyBytesMax === undefined ? {} : { bodyBytesMax: operation.bodyBytesMax }),
    },
    handler: async (request, reply) => {
      // What it works on stays counted when its client goes away.
      const { holding } = request;
      holding?.retain();
      try {
        return await handler(checkParameters(id, { params: request.params, query: request.query }), request, reply);
      } finally {
        holding?.release();
      }
    },
  });
}
