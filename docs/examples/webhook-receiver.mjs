// A receiver of notifications with nothing but Node: it takes what is signed with the key of SHIELDX_WEBHOOK_KEY, each event once.
//   SHIELDX_WEBHOOK_KEY=whsec_... node docs/examples/webhook-receiver.mjs 8080
import { createHmac, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";

const KEY = Buffer.from((process.env.SHIELDX_WEBHOOK_KEY ?? "").replace("whsec_", ""), "base64");
/** Older or newer messages are refused: somebody may have kept one and sent it again. */
const TOLERANCE_SECONDS = 300;
/** More than any notification has. */
const BODY_BYTES_MAX = 64 * 1024;
/** Ids of events that were taken; a real receiver keeps them where its other replicas see them. */
const taken = new Set();

if (KEY.length < 24) throw new Error("SHIELDX_WEBHOOK_KEY: whsec_ and at least 24 bytes in base64");

function isAuthentic(headers, body) {
  const { "webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": signatures } = headers;
  if (!id || !timestamp || !signatures) return false;
  if (!(Math.abs(Date.now() / 1000 - Number(timestamp)) <= TOLERANCE_SECONDS)) return false;
  const wanted = createHmac("sha256", KEY).update(`${id}.${timestamp}.`).update(body).digest();
  // Several while a key is replaced.
  return signatures.split(" ").some((signature) => {
    const [version, text = ""] = signature.split(",");
    const given = Buffer.from(text, "base64");
    return version === "v1" && given.length === wanted.length && timingSafeEqual(given, wanted);
  });
}

const server = createServer(async (request, response) => {
  const answer = (status) => response.writeHead(status).end();
  const parts = [];
  let size = 0;
  for await (const part of request) {
    size += part.length;
    if (size > BODY_BYTES_MAX) return answer(413);
    parts.push(part);
  }
  // The bytes as they came: JSON that was read and written again has another signature.
  const body = Buffer.concat(parts);
  if (!isAuthentic(request.headers, body)) return answer(401);
  const { id, source, type, data } = JSON.parse(body.toString("utf8"));
  if (!taken.has(`${source} ${id}`)) {
    taken.add(`${source} ${id}`);
    console.log(`${type} ${data.namespace}/${data.name} revision ${data.revision}: ${data.message}`);
  }
  answer(204);
});

server.listen(Number(process.argv[2] ?? 8080), () => console.log(`listening on ${server.address().port}`));
