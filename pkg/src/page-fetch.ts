import { proxy, releaseProxy, transfer, type Remote } from "comlink";

/** What a request says that can be posted. */
type Asked = Omit<RequestInit, "signal">;

/** In the page: one request of its worker, made with a `fetch` of the user's own. */
class PageRequest {
  readonly #stop = new AbortController();
  readonly #response: Promise<Response>;
  #reader: ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>> | undefined;

  constructor(own: typeof fetch, url: string, init: Asked) {
    this.#response = (async () => own(url, { ...init, signal: this.#stop.signal }))();
    // It may fail before the worker asks.
    this.#response.catch(() => {});
  }

  async head(): Promise<{ status: number; headers: [string, string][]; empty: boolean }> {
    const { status, headers, body } = await this.#response;
    return { status, headers: [...headers], empty: body === null };
  }

  /** The next piece of the body; undefined at its end. */
  async read(): Promise<Uint8Array<ArrayBuffer> | undefined> {
    this.#reader ??= (await this.#response).body?.getReader();
    const piece = (await this.#reader?.read())?.value;
    // A copy: a body of the user's own making may still be in use.
    const own = piece?.slice();
    return own && transfer(own, [own.buffer]);
  }

  stop(): void {
    this.#stop.abort();
    // Also where the user's function does not listen to the signal.
    void this.#response.then(({ body }) => (this.#reader ?? body)?.cancel()).catch(() => {});
  }
}

/** In the page: makes requests for a worker, to which a function cannot be posted. */
export const requester = (own: typeof fetch) =>
  proxy((url: string, init: Asked) => proxy(new PageRequest(own, url, init)));

/** What {@link requester} is in the worker. */
export type Requester = Remote<ReturnType<typeof requester>>;

/** In the worker: a `fetch` that asks in the page. Bodies come piece by piece, as they are read. */
export function fetchBy(ask: Requester): typeof fetch {
  return async (url, { signal, ...init } = {}) => {
    signal?.throwIfAborted();
    const request = (await ask(String(url), init)) as unknown as Remote<PageRequest>;
    let ended = false;
    const stop = () => void (ended || request.stop());
    const end = () => {
      signal?.removeEventListener("abort", stop);
      if (!ended) request[releaseProxy]();
      ended = true;
    };
    signal?.addEventListener("abort", stop);
    if (signal?.aborted) stop();
    try {
      const { status, headers, empty } = await request.head();
      const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
        async pull(controller) {
          try {
            const piece = await request.read();
            if (piece) return controller.enqueue(piece);
            controller.close();
          } catch (error) {
            controller.error(error);
          }
          end();
        },
        async cancel() {
          if (!ended) await request.stop();
          end();
        },
      });
      if (empty) end();
      return new Response(empty ? null : body, { status, headers });
    } catch (error) {
      end();
      throw error;
    }
  };
}
