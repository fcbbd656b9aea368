import { StatusError } from "../status-error.ts";
import type { StoreKey } from "./store-types.ts";

// Refusals in the real server's words, reasons and details.

/** `widgets.test.shieldx.dev`, `configmaps`. */
function resourceText(collection: string): string {
  const [group, plural] = collection.split("/");
  return group === "" ? `${plural}` : `${plural}.${group}`;
}

/** The `details` of a Status about one object. */
export function detailsOf({ collection, name }: StoreKey, uid?: string): Readonly<Record<string, string>> {
  const [group = "", plural = ""] = collection.split("/");
  return { name, ...(group === "" ? {} : { group }), kind: plural, ...(uid === undefined ? {} : { uid }) };
}

export function notFound(key: StoreKey): StatusError {
  const message = `${resourceText(key.collection)} "${key.name}" not found`;
  return new StatusError({ status: 404, message, details: detailsOf(key) });
}

/** A path of no kind, or a subresource that the kind does not have. */
export function noSuchPath(): StatusError {
  return new StatusError({ status: 404, message: "the server could not find the requested resource" });
}

export function methodNotAllowed(): StatusError {
  return new StatusError({ status: 405, message: "the server does not allow this method on the requested resource" });
}

export function badRequest(message: string): StatusError {
  return new StatusError({ status: 400, message });
}

export function alreadyExists(key: StoreKey): StatusError {
  const message = `${resourceText(key.collection)} "${key.name}" already exists`;
  return new StatusError({ status: 409, reason: "AlreadyExists", message, details: detailsOf(key) });
}

/** 409: somebody else was faster, or it is another object. */
export function conflict(key: StoreKey, why: string): StatusError {
  const message = `Operation cannot be fulfilled on ${resourceText(key.collection)} "${key.name}": ${why}`;
  return new StatusError({ status: 409, message, details: detailsOf(key) });
}

export const MODIFIED = "the object has been modified; please apply your changes to the latest version and try again";

/** 422 for one field. @param reason of the cause, without `FieldValue` */
export function invalid(
  of: { readonly what: string; readonly details: Readonly<Record<string, string>> },
  field: string,
  cause: { readonly reason: "Invalid" | "Required" | "Forbidden" | "NotSupported"; readonly message: string },
): StatusError {
  return new StatusError({
    status: 422,
    message: `${of.what} is invalid: ${field}: ${cause.message}`,
    details: of.details,
    causes: [{ reason: `FieldValue${cause.reason}`, message: cause.message, field }],
  });
}

/** What a 422 about an object speaks of. */
export function objectOf(
  key: StoreKey,
  kind: string,
): { readonly what: string; readonly details: Record<string, string> } {
  const [group = ""] = key.collection.split("/");
  const text = group === "" ? kind : `${kind}.${group}`;
  return {
    what: `${text} "${key.name}"`,
    details: { name: key.name, ...(group === "" ? {} : { group }), kind },
  };
}

/** What a 422 about the options of a request speaks of. */
export function optionsOf(kind: string): { readonly what: string; readonly details: Record<string, string> } {
  return { what: `${kind}.meta.k8s.io ""`, details: { group: "meta.k8s.io", kind } };
}

/** 403: nothing new in a namespace that is being deleted. */
export function namespaceEnding(key: StoreKey): StatusError {
  const { namespace } = key;
  return new StatusError({
    status: 403,
    message: `${resourceText(key.collection)} "${key.name}" is forbidden: unable to create new content in namespace ${namespace} because it is being terminated`,
    details: detailsOf(key),
    causes: [
      {
        reason: "NamespaceTerminating",
        message: `namespace ${namespace} is being terminated`,
        field: "metadata.namespace",
      },
    ],
  });
}
