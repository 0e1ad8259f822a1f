/** Base of all errors of a bad file or a bad request; the message says what was found and what to do. */
export class HeqError extends Error {}
/** The bytes are no .heq file, or break a rule of the format. */
export class HeqFormatError extends HeqError {}
/** The file ends before the data that its header promises. */
export class HeqTruncatedError extends HeqError {}
/** A CRC-32 does not match: the header, a strip, a chunk or a file of weights was damaged. */
export class HeqChecksumError extends HeqError {}
/** The file is well formed but needs a version, mode, coder or model that is not here. */
export class HeqUnsupportedError extends HeqError {}
/** The image is larger than `maxPixels` allows, or than memory. */
export class HeqLimitError extends HeqError {}

/** Pixels of the frame of whole patches that are decoded without asking, 89,478,485. */
export const DEFAULT_MAX_PIXELS: number;

export type Source = Uint8Array | ArrayBuffer | ArrayBufferView | Blob;

export interface ReadOptions {
  /** Largest number of pixels; null for no limit. */
  maxPixels?: number | null;
  /** Read what is whole of a damaged file, and list what is not. */
  partial?: boolean;
}

export interface DecodeOptions extends ReadOptions {
  /**
   * "plain", the default: the inverse transform, without a network. "fast" and "strong": PURENET, by onnxruntime-web, with graphs of
   * 0.8 and 1.7 MB that are fetched from `weights`; files of nqe-t and nqe-vgg have "strong" alone, of 4.3 MB.
   */
  decoder?: "plain" | "fast" | "strong";
  /** The module onnxruntime-web; default: `import("onnxruntime-web")`. */
  onnxruntime?: unknown;
  /** Of onnxruntime-web, as ["webgpu", "wasm"]; default: ["wasm"]. */
  executionProviders?: readonly string[];
  /** x, y, width, height in pixels; default: all. */
  region?: readonly [number, number, number, number] | null;
  /** Decode so many slices of each strip of a packed file, 1 (coarsest) to 6, or parts of a progressive one, 1 or 2. */
  slices?: number | null;
  /** Called after each strip. */
  onProgress?: (done: number, total: number) => void;
  /**
   * Where the weights of packed files, of files of nqe-t and nqe-vgg, and of networks are: their folder's address, or files by name. Default: the folder `weights` beside
   * the module. They are fetched once, and checked against a hash.
   */
  weights?: string | URL | Record<string, Uint8Array>;
}

export interface DecodedImage {
  width: number;
  height: number;
  /** RGBA, not premultiplied, row by row: `new ImageData(data, width, height)`. */
  data: Uint8ClampedArray;
  /** Of the image itself: 1 grey, 3 RGB, 4 RGB with alpha. */
  channels: 1 | 3 | 4;
  /** ICC profile; null: sRGB. */
  icc: Uint8Array | null;
  /** Strips whose pixels were filled, with `partial`. */
  damagedStrips: number[];
  /** Damaged strips of packed files of which the first slices were decoded. */
  coarseStrips: number[];
  /** Strips that the encoder left out for want of room; their pixels were filled. */
  unsentStrips: number[];
  damagedChunks: string[];
  repaired: string[];
}

/**
 * Decode a file.
 *
 * @throws HeqError, as one of the classes above.
 */
export function decode(source: Source, options?: DecodeOptions): Promise<DecodedImage>;

export interface ImageInfo {
  width: number;
  height: number;
  channels: 1 | 3;
  alpha: boolean;
  mode: "patch" | "rate";
  /** Whether the lowest frequencies of the whole image come first, or will once the packed file is unpacked. */
  progressive: boolean;
  coder: "none" | "patch" | "device" | "packed";
  /** Name of the model; null if the package cannot decode the file. */
  model: string | null;
  /** Step index of each strip, null where it was not sent or is damaged; null in patch mode. */
  steps: (number | null)[] | null;
  /** Whether coefficients are weighted by frequency: the file is tuned for the eye. */
  weighted: boolean;
  bitsPerPatch: number | null;
  strips: number;
  stripRows: number;
  fileBytes: number;
  /** Bits per pixel of the file. */
  bpp: number;
  encoderId: string;
  coderId: string;
  chunks: { type: string; bytes: number }[];
  unsentStrips: number[];
  damagedStrips: number[];
  damagedChunks: string[];
  repaired: string[];
}

/** What a file says about itself, without decoding it. */
export function info(source: Source, options?: ReadOptions): Promise<ImageInfo>;

/** A strip of an image that is still coming. */
export interface PaintedStrip {
  /** First row of pixels. */
  y: number;
  width: number;
  height: number;
  /** RGBA without the image's alpha, which comes last. */
  data: Uint8ClampedArray;
  /** False for some slices of a packed strip, and the first part of a progressive one: it will come again, finer. */
  whole: boolean;
}

/** Strips as their bytes arrive, by the plain inverse. */
export class StreamDecoder {
  constructor(options?: DecodeOptions);
  /** The strips that these bytes complete or refine. */
  push(chunk: Uint8Array): Promise<PaintedStrip[]>;
  /** After the last byte: the whole image, verified. */
  end(options?: DecodeOptions): Promise<DecodedImage>;
}

/** Decode a file while it comes, as `response.body`. */
export function decodeStream(
  stream: ReadableStream<Uint8Array>,
  options?: DecodeOptions & { onHeader?: (width: number, height: number) => void; onStrip?: (strip: PaintedStrip) => void },
): Promise<DecodedImage>;
