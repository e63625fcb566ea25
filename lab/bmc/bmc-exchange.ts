// One request at a lab BMC and the ways to answer it. Knows Redfish's error form, not what is asked.
import type { IncomingMessage, ServerResponse } from "node:http";
import { errorBody, etagOf } from "./bmc-resources.ts";

const BODY_MAX_BYTES = 64 * 1024;

/** One request as the BMC saw it. */
export interface BmcRequest {
  /** `performance.now()` when its head had arrived. */
  readonly atMs: number;
  readonly method: string;
  readonly path: string;
  /** Which TCP connection it came on, counted from 1. */
  readonly connection: number;
  readonly admitted: boolean;
  readonly resetType?: string;
  /** Status answered; undefined while, or because, there is no answer. */
  readonly status: number | undefined;
}

export type OpenEntry = { -readonly [K in keyof BmcRequest]: BmcRequest[K] };

export class BmcExchange {
  readonly entry: OpenEntry;
  #request: IncomingMessage;
  #response: ServerResponse;

  constructor(request: IncomingMessage, response: ServerResponse, entry: OpenEntry) {
    this.#request = request;
    this.#response = response;
    this.entry = entry;
  }

  header(name: string, value: string): void {
    this.#response.setHeader(name, value);
  }

  answer(status: number, document?: object): void {
    this.header("odata-version", "4.0");
    const etag = document !== undefined && status === 200 ? etagOf(document) : undefined;
    if (etag !== undefined) this.header("etag", etag);
    const unchanged = etag !== undefined && this.#request.headers["if-none-match"] === etag;
    this.entry.status = unchanged ? 304 : status;
    if (document !== undefined && !unchanged) this.header("content-type", "application/json; charset=utf-8");
    this.#response.writeHead(this.entry.status);
    this.#response.end(document === undefined || unchanged ? undefined : JSON.stringify(document));
  }

  fail(status: number, messageId: string, message: string): void {
    if (status === 401) this.header("www-authenticate", 'Basic realm="Redfish"');
    this.answer(status, errorBody(messageId, message));
  }

  missing(): void {
    this.fail(404, "ResourceMissingAtURI", `The resource at the URI ${this.entry.path} was not found.`);
  }

  busy(retryAfterS: number): void {
    this.header("retry-after", String(retryAfterS));
    this.fail(503, "ServiceTemporarilyUnavailable", "The service is temporarily unavailable.");
  }

  conflict(why: string): void {
    this.fail(409, "ResourceInUse", `The reset cannot be carried out: ${why}.`);
  }

  /** A success by its status, with a document that is cut off. */
  garbage(): void {
    this.entry.status = 200;
    this.#response.writeHead(200, { "content-type": "application/json" }).end('{"PowerState":"Of');
  }

  hangUp(): void {
    this.#request.socket.destroy();
  }

  /** The request's JSON body; undefined where there is none that can be read. */
  async body(): Promise<unknown> {
    const chunks: Buffer[] = [];
    let bytes = 0;
    try {
      for await (const chunk of this.#request) {
        const buffer = chunk as Buffer;
        bytes += buffer.length;
        if (bytes <= BODY_MAX_BYTES) chunks.push(buffer);
      }
      return JSON.parse(Buffer.concat(chunks).toString("utf8"));
    } catch {
      return undefined;
    }
  }
}
