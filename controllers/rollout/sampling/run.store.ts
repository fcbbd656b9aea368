/**
 * A run as a ConfigMap keeps it: gzip of its JSON, in base64, under one key of `data`. An object of the API server has 1 MiB at
 * most; a run that is larger loses its oldest detail first, as a record that is full does.
 */
import { parseRollout, type RolloutRun } from "../../../crds/rollout-run.ts";
import { assert } from "../../../lib/core/assert.ts";
import { toOperatorError } from "../../../lib/core/errors.ts";
import { gunzipText, gzipText } from "../../../lib/node/gzip-text.ts";
import { thin } from "../judge/run.ts";

/** Key of a ConfigMap's `data` under which a run is kept. */
export const RUN_DATA_KEY = "run.json.gz.base64";

/** Characters of a stored run; the rest of the object has room beside them. */
const TEXT_MAX = 900_000;

/** Bytes of a run's JSON when it is read: twice what the largest one has. */
const JSON_BYTES_MAX = 8 * 1024 * 1024;

/** A run that was read, or the reason why there is none. */
export type StoredRun =
  | { readonly run: RolloutRun; readonly reason?: undefined }
  | { readonly run: undefined; readonly reason: string };

/** The same run gives the same text. @param textMax characters that there is room for */
export function encodeRun(run: RolloutRun, textMax = TEXT_MAX): string {
  for (let smaller = run; ; ) {
    const text = gzipText(JSON.stringify(smaller));
    if (text.length <= textMax) return text;
    const thinned = thin(smaller);
    assert(thinned.rows.length < smaller.rows.length, `a run of ${smaller.rows.length} rows has no room`);
    smaller = thinned;
  }
}

/** Whatever was written there, by whomever: it never throws. */
export function decodeRun(text: string): StoredRun {
  try {
    const document = parseRollout(gunzipText(text, JSON_BYTES_MAX), "stored run");
    if (document.kind === "RolloutRun") return { run: document };
    return { run: undefined, reason: "stored run: it is of kind RolloutSamples" };
  } catch (error) {
    const { message } = toOperatorError(error);
    return { run: undefined, reason: message.startsWith("stored run: ") ? message : `stored run: ${message}` };
  }
}
