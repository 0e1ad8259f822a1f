// The C code as WebAssembly: one instance, whose memory holds the tables of the model.

import { decoder } from "./assets.js";
import { inflate, fromBase64 } from "./bytes.js";
import { HeqLimitError } from "./errors.js";

let loading = null;

/** The instance, made once. */
export function loadNative() {
  return (loading ??= instantiate());
}

async function instantiate() {
  const { instance } = await WebAssembly.instantiate(await inflate(fromBase64(decoder), "gzip"));
  return new Native(instance.exports);
}

class Native {
  constructor(exports) {
    this.calls = exports;
  }

  /** A typed array of WebAssembly's memory; it is valid until memory grows, with the next allocation. */
  view(Kind, pointer, length) {
    return new Kind(this.calls.memory.buffer, pointer, length);
  }

  allocate(bytes) {
    const pointer = this.calls.heq_alloc(Math.max(bytes, 1)) >>> 0;
    if (!pointer) throw new HeqLimitError(`There is no memory for ${bytes} bytes more; decode a region, or a smaller image.`);
    return pointer;
  }

  free(...pointers) {
    for (const pointer of pointers) if (pointer) this.calls.heq_free(pointer);
  }

  /** A copy of a typed array in WebAssembly's memory. */
  copy(array) {
    const pointer = this.allocate(array.byteLength);
    this.view(array.constructor, pointer, array.length).set(array);
    return pointer;
  }

  /** A list of pointers, as C's structures of pointers have them. */
  pointers(list) {
    return this.copy(Uint32Array.from(list));
  }
}
