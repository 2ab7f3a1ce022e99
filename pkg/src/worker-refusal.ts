import { OcelliError } from "./error.js";
import type { LoadOptions } from "./types.js";

/** Starts a worker and says why it did not start, if it did not. */
export interface Starting {
  worker: Worker;
  /** The error of a worker that ended before it said anything. */
  refusal(message: string): Promise<OcelliError>;
}

/**
 * Starts worker.js.
 *
 * @throws {OcelliError} With code `no-worker`, if the browser refuses at once.
 */
export function startWorker(workerUrl: LoadOptions["workerUrl"]): Starting {
  if (typeof Worker === "undefined") {
    throw noWorker("there are no workers here, as in a service worker: load without the option worker");
  }
  // A policy's word comes as an event, and the worker's error tells nothing of it.
  let policy: string | undefined;
  const violated = (event: Event) => {
    const { effectiveDirective, blockedURI } = event as SecurityPolicyViolationEvent;
    if (/^(worker|child|script)-src/.test(effectiveDirective)) policy = `${effectiveDirective} forbids ${blockedURI}`;
  };
  const page: EventTarget = globalThis.document ?? globalThis;
  page.addEventListener("securitypolicyviolation", violated);
  const ended = () => page.removeEventListener("securitypolicyviolation", violated);
  try {
    // Bundlers look for exactly this expression.
    const worker = workerUrl
      ? new Worker(workerUrl as string | URL, { type: "module" })
      : new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
    worker.addEventListener("message", ended, { once: true });
    const refusal = async (message: string) => {
      ended();
      return noWorker(policy ? forbidden(policy) : await reasonOf(workerUrl, message));
    };
    return { worker, refusal };
  } catch (cause) {
    ended();
    throw noWorker(reasonAtOnce(cause, policy), cause);
  }
}

function noWorker(reason: string, cause?: unknown): OcelliError {
  return new OcelliError("no-worker", `The worker cannot be started: ${reason}.`, { cause });
}

const forbidden = (policy: string) =>
  `the page's Content-Security-Policy, ${policy}: allow worker.js there, as worker-src 'self' does`;

/** Why the constructor threw. */
function reasonAtOnce(cause: unknown, policy: string | undefined): string {
  if (policy) return forbidden(policy);
  const { name, message: said = String(cause) } = (cause ?? {}) as Partial<Error>;
  const message = said.replace(/\.$/, "");
  if (/trusted/i.test(message)) {
    return `the page's policy asks for Trusted Types (${message}): pass as workerUrl a TrustedScriptURL that a policy of yours makes of worker.js's address`;
  }
  if (name === "SecurityError") {
    return `browsers start workers from the page's own origin only, which is ${globalThis.location?.origin} here (${message}): serve the package's dist folder from there, and pass workerUrl if the code itself is elsewhere`;
  }
  return `${message}: pass the address of worker.js as workerUrl`;
}

/** Why one that was being fetched ended; browsers do not say it, but it can be found out. */
async function reasonOf(workerUrl: LoadOptions["workerUrl"], message: string): Promise<string> {
  if (message) return message;
  const file = workerUrl ? await fetch(workerUrl as string | URL).catch(String) : undefined;
  if (typeof file === "string") return `${String(workerUrl)} cannot be fetched (${file})`;
  if (file && !file.ok) return `expected worker.js at ${String(workerUrl)}, found HTTP ${file.status}: serve it there`;
  const type = file?.headers.get("content-type") ?? "text/javascript";
  if (!/(java|ecma)script/.test(type)) {
    return `expected worker.js at ${String(workerUrl)}, found ${type}: serve it there, as text/javascript`;
  }
  const policy = "cross-origin-embedder-policy";
  const page = await fetch(globalThis.location.href, { method: "HEAD" }).catch(() => undefined);
  if (page?.headers.has(policy) && !file?.headers.has(policy)) {
    return "this page is served with Cross-Origin-Embedder-Policy, and a worker needs the header as well: send it with worker.js, too";
  }
  return "its file is missing, or what it imports, or it is not served as JavaScript: serve worker.js next to the package's code, or pass workerUrl";
}
