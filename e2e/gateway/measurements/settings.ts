import { systemClock } from "../../../lib/core/clock.ts";
import { RESOURCES } from "../../../lib/kube/types.ts";
import { waitFor } from "../../run.ts";
import { backendRefs } from "../routes.ts";
import type { Stage } from "./stage.ts";

const NAME = "settings";
/** The kubelet looks after mounted ConfigMaps about once a minute. */
const WAIT_MS = 180_000;

/** How long after a change of its ConfigMap a running application is another version. */
export async function settings(stage: Stage): Promise<unknown> {
  const { client, namespace } = stage;
  const write = (version: string) =>
    client.apply(
      RESOURCES.ConfigMap,
      {
        apiVersion: "v1",
        kind: "ConfigMap",
        metadata: { namespace, name: NAME },
        data: { "settings.json": JSON.stringify({ version }) },
      },
      { fieldManager: "measure", force: true },
    );
  await write("before");
  await stage.deploy({ name: NAME, version: "image", settings: NAME });
  await stage.route([{ backendRefs: backendRefs([[NAME, 1]]) }]);
  const load = await stage.load({ rate: 20, seconds: 300 });
  await waitFor("the first settings", WAIT_MS, async () => "before" in (await load.results()).seen);
  const sent = systemClock.now() / 1000;
  await write("after");
  const seen = await waitFor("the next settings", WAIT_MS, async () => (await load.results()).seen["after"]);
  await load.stop();
  return { secondsUntilSeen: Math.round((seen.first - sent) * 10) / 10 };
}
