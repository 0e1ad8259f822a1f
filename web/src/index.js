export { decode, info } from "./decode.js";
export * from "./errors.js";
export { DEFAULT_MAX_PIXELS } from "./header.js";
export { decodeStream, StreamDecoder } from "./stream.js";
