import type { Range } from "./request.js";
import type { ByteStream } from "./stream.js";
import type { Bytes } from "./types.js";

/** One file as this load sees it. */
export interface RemoteFile {
  name: string;
  /** Its address, or its name, for messages. */
  shown: string;
  /** What it is kept under, if it is. */
  kept: string | undefined;
  /** See `FileRecord`; undefined while unknown. */
  version: string | undefined;
  size: number | undefined;
  /** Whether a range of it comes with status 200, as if it were the whole; undefined while unknown. */
  ranges200?: boolean | undefined;
}

export interface Opened {
  stream: ByteStream;
  /** Bytes that this stream has, if the server says; of a compressed body it may be the compressed length. */
  length: number | undefined;
  /** The body is the whole file, whatever was asked for. */
  whole: boolean;
}

/** What reads a file piece by piece needs of the folder that the file is in. */
export interface Opener {
  /** Whether these bytes are here without a request. */
  has(file: RemoteFile, start: number, end: number): boolean;
  /** Bytes of a file, if they are kept. */
  kept(file: RemoteFile, start: number, end: number): Promise<Bytes | undefined>;
  keep(file: RemoteFile, start: number, bytes: Bytes): Promise<void>;
  /** Asks for a file, or for some bytes of it. */
  open(file: RemoteFile, range: Range | undefined, signal: AbortSignal): Promise<Opened>;
}
