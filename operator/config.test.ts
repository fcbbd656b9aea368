import { describe, expect, it } from "@jest/globals";
import { parseControllerConfig } from "./config.ts";

// Goal: a wrong flag or variable stops the start with its name; nothing is guessed.

const IMAGES = ["--shieldx-image=shieldx:1", "--postgres-image=shieldx-postgres:1"];
const POD = { SHIELDX_NAMESPACE: "ops", SHIELDX_POD_NAME: "c-1", SHIELDX_POD_UID: "uid" };

describe("the controller's configuration", () => {
  it("has defaults for everything but the images", () => {
    expect(parseControllerConfig(IMAGES, POD)).toEqual({
      shieldxImage: "shieldx:1",
      postgresImage: "shieldx-postgres:1",
      clusterDomain: "cluster.local",
      logLevel: "info",
      listen: 8080,
      watchNamespaces: [],
      kubeconfig: undefined,
      context: undefined,
      namespace: "ops",
      podName: "c-1",
      podUid: "uid",
    });
  });

  it("is frozen", () => {
    expect(Object.isFrozen(parseControllerConfig(IMAGES, {}))).toBe(true);
  });

  it("takes flags in both forms", () => {
    const config = parseControllerConfig(
      [...IMAGES, "--listen", "0", "--watch-namespaces=a,b", "--log-level=debug"],
      POD,
    );
    expect(config).toMatchObject({ listen: 0, watchNamespaces: ["a", "b"], logLevel: "debug" });
  });

  it.each([
    ["no image", [IMAGES[0] ?? ""], POD, "CONFIG_INVALID", "--postgres-image"],
    ["an unknown flag", [...IMAGES, "--lisen=1"], POD, "USAGE", "--lisen"],
    ["a stray word", [...IMAGES, "run"], POD, "USAGE", "run"],
    ["a port that is none", [...IMAGES, "--listen=http"], POD, "CONFIG_INVALID", "--listen"],
    ["a port out of range", [...IMAGES, "--listen=70000"], POD, "CONFIG_INVALID", "--listen"],
    ["an unknown level", [...IMAGES, "--log-level=loud"], POD, "CONFIG_INVALID", "--log-level"],
    ["a namespace that is none", [...IMAGES, "--watch-namespaces=A_b"], POD, "CONFIG_INVALID", "--watch-namespaces"],
    ["a domain that is none", [...IMAGES, "--cluster-domain=.x"], POD, "CONFIG_INVALID", "--cluster-domain"],
    ["a wrong variable", IMAGES, { SHIELDX_NAMESPACE: "Ops" }, "CONFIG_INVALID", "SHIELDX_NAMESPACE"],
  ])("refuses %s and names it", (_name, args, environment, code, named) => {
    expect(() => parseControllerConfig(args, environment)).toThrow(
      expect.objectContaining({ code, message: expect.stringContaining(named) }),
    );
  });
});
