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

/** Bytes `start` to `end` of a file. */
export interface Piece {
  start: number;
  end: number;
  /** What is kept of them once they were converted, where that is not these bytes. */
  packed?: PackedForm | undefined;
}

/** What a piece was converted to. */
export interface PackedForm {
  /** Tells it from other forms of the same bytes: what they are converted to, a slash, and which of them. */
  name: string;
  /** Its length. */
  bytes: number;
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
  /** Whether a piece is kept, in its form. */
  has(file: RemoteFile, piece: Piece): boolean;
  /** A piece, in its form, if it is kept. */
  kept(file: RemoteFile, piece: Piece): Promise<Bytes | undefined>;
  /** Keeps a piece, in its form; any other form of it goes. */
  keep(file: RemoteFile, piece: Piece, bytes: Bytes): Promise<void>;
  /** Asks for a file, or for some bytes of it. */
  open(file: RemoteFile, range: Range | undefined, signal: AbortSignal): Promise<Opened>;
}
