import { gatewayUrl } from "../gateways.ts";
import { backendRefs, GRPC_ROUTE, HTTP_ROUTE } from "../routes.ts";
import { CANARY, ROUTE, STABLE, type Stage } from "./stage.ts";

/** Whether a GRPCRoute splits calls as its weights say, and leaves out methods that it does not match. */
export async function grpc(stage: Stage): Promise<unknown> {
  const { client, gateway, namespace } = stage;
  const refs = backendRefs(
    [
      [STABLE, 7500],
      [CANARY, 2500],
    ],
    "grpc",
  );
  // An HTTPRoute of the same host would take the calls too.
  await stage.route([{ backendRefs: backendRefs([[STABLE, 1]]) }]);
  await client.delete(HTTP_ROUTE, { namespace, name: ROUTE });
  await stage.route([{ matches: [{ method: { service: "demo.Greeter" } }], backendRefs: refs }], "GRPCRoute");
  const answers: Record<string, unknown> = {};
  for (const method of ["demo.Greeter/Greet", "other.Service/Call"]) {
    const load = await stage.load({ rate: 200, seconds: 5, url: `${gatewayUrl(gateway)}/${method}`, flags: ["-grpc"] });
    const { counts, errors } = await load.ended();
    await load.stop();
    answers[method] = { counts, errors };
  }
  const route = await client.get(GRPC_ROUTE, { namespace, name: ROUTE });
  await client.delete(GRPC_ROUTE, { namespace, name: ROUTE });
  return { ...answers, status: route.status };
}
