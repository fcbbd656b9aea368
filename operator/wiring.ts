import { randomBytes } from "node:crypto";
import { createCreditLedgerController } from "../controllers/creditledger/creditledger.controller.ts";
import { createRolloutController } from "../controllers/rollout/rollout.controller.ts";
import { createRolloutMetrics } from "../controllers/rollout/rollout.metrics.ts";
import { createSampler } from "../controllers/rollout/sampling/sampler.ts";
import { createShardSetController } from "../controllers/shardset/shardset.controller.ts";
import { addressesOf } from "../lib/node/addresses.ts";
import * as certificates from "../lib/node/certificates.ts";
import { askHttp } from "../lib/node/http-question.ts";
import { getText } from "../lib/node/http-text.ts";
import { getJson } from "../lib/node/https-json.ts";
import { createMetrics, type Metrics } from "../lib/node/metrics.ts";
import { scramVerifier } from "../lib/node/scram.ts";
import type { ControllerConfig } from "./config.ts";
import type { Controller } from "./runtime/types.ts";

/**
 * Builds every controller with what it needs. The only file that knows both sides.
 * @param metrics where they count; nowhere that is shown unless told, for who asks what they watch
 */
export function createControllers(config: ControllerConfig, metrics: Metrics = createMetrics()): readonly Controller[] {
  const images = { shieldx: config.shieldxImage, postgres: config.postgresImage };
  const { clusterDomain, apiServerPorts } = config;
  return [
    createShardSetController({ images, clusterDomain, apiServerPorts, certificates, getJson }),
    createCreditLedgerController({ images, clusterDomain, apiServerPorts, certificates, scramVerifier, randomBytes }),
    createRolloutController({
      sampler: createSampler({ scrape: getText, resolve: addressesOf }),
      metrics: createRolloutMetrics(metrics),
      randomBytes,
      askHttp,
      post: askHttp,
    }),
  ];
}
