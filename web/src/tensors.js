const ARRAYS = { I8: Int8Array, U8: Uint8Array, I16: Int16Array, U16: Uint16Array, I32: Int32Array, F32: Float32Array };

/** Tensors of a safetensors file as typed arrays, by name; of the types that need no conversion, and float16 as float32. */
export function readTensors(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = Number(view.getBigUint64(0, true));
  const head = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)));
  const found = {};
  for (const [name, { dtype, data_offsets: offsets }] of Object.entries(head)) {
    if (name === "__metadata__") continue;
    const data = bytes.slice(8 + length + offsets[0], 8 + length + offsets[1]);
    if (dtype === "F16") found[name] = Float32Array.from(new Uint16Array(data.buffer), halfToFloat);
    else found[name] = new ARRAYS[dtype](data.buffer);
  }
  return found;
}

function halfToFloat(half) {
  const sign = half & 0x8000 ? -1 : 1, exponent = (half >> 10) & 31, fraction = half & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
