// A decoder of mode 0, of nqe-t and nqe-vgg, to plain pixels, written from docs/FORMAT.md and docs/DECODER.md alone: it shares
// no code with heqcodec. node patch_page_decoder.mjs WEIGHTS [FILE.heq VALUES PIXELS] ...
// It writes float32 coefficients, patch by patch (planes, 32, 32), and uint8 pixels (height, width, channels).
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { inflateSync } from "node:zlib";
import { crc32, fail, readChunks } from "../support/page_file.mjs";

const ARRAYS = { I8: Int8Array, U8: Uint8Array, I16: Int16Array, U16: Uint16Array, F32: Float32Array };

/** Tensors of a safetensors file: {shape, at(...indices)}. */
function tensors(path) {
  const file = readFileSync(path), length = Number(file.readBigUInt64LE(0)), found = {};
  for (const [name, { dtype, shape, data_offsets: [begin, end] }] of Object.entries(JSON.parse(file.toString("utf8", 8, 8 + length)))) {
    if (!ARRAYS[dtype]) continue;
    const data = new ARRAYS[dtype](Uint8Array.from(file.subarray(8 + length + begin, 8 + length + end)).buffer);
    found[name] = { data, at: (...place) => data[place.reduce((sum, i, axis) => sum * shape[axis] + i, 0)] };
  }
  return found;
}

// ---- Layout ------------------------------------------------------------------------------------------------------

function read(file) {
  const u16 = (at) => file.readUInt16LE(at), u32 = (at) => file.readUInt32LE(at);
  if (file.toString("hex", 0, 8) !== "894845510d0a1a0a" || u32(40) !== crc32(file.subarray(0, 40))) fail("no header");
  const [version, mode, coder, channels] = file.subarray(8, 12);
  if (version !== 1 || mode !== 0 || coder > 1) fail("not version 1, mode 0, coder 0 or 1");
  const [width, height, rate, stripRows] = [u32(12), u32(16), u16(20), file[22]];
  const rows = Math.ceil(height / 32), columns = Math.ceil(width / 32), codes = [];
  let at = 44;
  for (let i = 0; i < Math.ceil(rows / stripRows); i++) {
    const end = at + 8 + u32(at + 4);
    if (u16(at) !== i || u32(end) !== crc32(file.subarray(at, end))) fail(`strip ${i} damaged`);
    for (let code = at + 8; code < end; code += rate / 8) codes.push(file.subarray(code, code + rate / 8));
    at = end + 4;
  }
  return { width, height, columns, coder, codes, planes: channels === 3 ? 3 : 1, asRgb: channels === 129, alpha: readChunks(file, at).ALPH };
}

const bitAt = (code, i) => ((code[i >> 3] ?? 0) >> (7 - (i & 7))) & 1;

// ---- The patch code ----------------------------------------------------------------------------------------------

const range = (from, to) => Array.from({ length: to - from + 1 }, (_, i) => from + i);
/** Zones of plane 0: from where on a ring reaches, and its zones: horizontal, vertical, diagonal. */
const RINGS = [
  [0, [0]], [1, [1, 2]], [2, [null, null, 3]], [4, [4, 5, 6]], [9, [7, 8, 9]], [19, [10, 11, 12]], [39, [13, 14, 15]], [82, [16, 17, 18]],
  [170, [19, 20, 21]], [362, [22, 23, 24]], [785, [25, 26, 27]],
];
/** Of planes 1 and 2: the zone of plane 1, and those beside it in plane 0. */
const COLOUR_RINGS = [
  [0, 28, [0]], [1, 29, [1]], [3, 30, [3]], [11, 31, [7]], [37, 32, [10]], [122, 33, [16]], [401, 34, [22, 23]],
];
const ZONES = range(0, 41).map(() => ({ halves: [[], []], near: [] }));
const there = (zone) => zone !== null && zone !== undefined;
RINGS.forEach(([, zones], ring) => zones.forEach((zone, turn) => {
  if (!there(zone)) return;
  const near = [RINGS[ring - 1]?.[1][turn], RINGS[ring + 1]?.[1][turn], ...zones.filter((other) => other !== zone)];
  Object.assign(ZONES[zone], { plane: 0, near: near.filter(there) });
}));
COLOUR_RINGS.forEach(([, first, beside], ring) => {
  for (const plane of [1, 2]) {
    const of = (r) => COLOUR_RINGS[r] && COLOUR_RINGS[r][1] + 7 * (plane - 1);
    Object.assign(ZONES[of(ring)], { plane, near: [first + 7 * (2 - plane), of(ring - 1), of(ring + 1), ...beside].filter(there) });
  }
});
const CELLS = range(0, 1023).map((i) => [i >> 5, i & 31]).sort(([a, b], [c, d]) => a * a + b * b - c * c - d * d || a - c || b - d);
for (const plane of [0, 1, 2]) {
  for (const [u, v] of CELLS) {
    const square = u * u + v * v, ring = (plane ? COLOUR_RINGS : RINGS).findLastIndex(([first]) => square >= first);
    const turn = 2 * u <= v ? 0 : 2 * v <= u ? 1 : 2;
    const zone = plane ? COLOUR_RINGS[ring][1] + 7 * (plane - 1) : RINGS[ring][1][turn];
    ZONES[zone].halves[(u + v) % 2].push({ p: plane, u, v });
  }
}

class Bits {
  constructor(code, lps) {
    Object.assign(this, { code, lps, N: 8 * code.length, range: 65535, offset: 0, read: 16, ended: false });
    for (let i = 0; i < 16; i++) this.offset = 2 * this.offset + bitAt(code, i);
    if (this.offset === 65535) this.ended = true;
  }
  /** A bit, or null where the code has ended before it. */
  next(state) {
    if (this.ended) return null;
    const w = state === 127 ? this.range >> 1 : this.lps.at(state, (this.range >> 12) & 7), cut = this.range - w;
    let bit = 0;
    if (this.offset >= cut) [bit, this.offset, this.range] = [1, this.offset - cut, w];
    else if (this.offset + 2 ** Math.max(this.read - this.N, 0) <= cut) this.range = cut;
    else this.ended = true;
    if (this.ended) return null;
    for (; this.range < 32768; this.read++) [this.range, this.offset] = [2 * this.range, 2 * this.offset + bitAt(this.code, this.read)];
    this.ended = this.read - this.N >= 16;
    return bit;
  }
}

/** Values of one code: low + 0.42 width, with signs. */
function patchValues(code, planes, t) {
  const grid = () => range(0, 2).map(() => range(0, 35).map(() => new Array(36).fill(0)));
  const L = grid(), low = grid(), width = grid(), sign = grid(), Z = new Array(42).fill(0), bits = new Bits(code, t.lps);
  const level = (p, u, v) => L[p][u + 2][v + 2];
  const put = (field, { p, u, v }, value) => (field[p][u + 2][v + 2] = value);
  const of = (field, { p, u, v }) => field[p][u + 2][v + 2];
  const order = [...t.order.data].filter((z) => ZONES[z].plane < planes);
  const size = (z) => ZONES[z].halves[0].length + ZONES[z].halves[1].length;
  const context = ({ p, u, v }) => {
    let S = 0, most = 0;
    for (const [du, dv] of [[1, 0], [0, 1]]) S += 2 * (level(p, u + du, v + dv) + level(p, u - du, v - dv));
    for (const [du, dv] of [[1, 1], [1, -1], [2, 0], [0, 2]]) S += level(p, u + du, v + dv) + level(p, u - du, v - dv);
    if (planes > 1) for (const other of [0, 1, 2]) if (other !== p) most = Math.max(most, level(other, u, v));
    return [[0, 1, 2, 2][most], [1, 2, 3, 5, 8, 12, 18].filter((first) => S >= first).length];
  };
  for (let p = 17; p >= 5; p--) {
    const k = 17 - p, fresh = [];
    for (const plane of L) for (const row of plane) row.forEach((x, i) => { if (x) row[i] = Math.min(x + 1, 3); });
    Z.forEach((x, z) => { if (x) Z[z] = 2; });
    for (const z of order) {
      const { halves, near } = ZONES[z];
      if (size(z) > 1) {
        let activity = 0;
        for (const other of near) activity += size(other) > 1 ? Z[other] : Math.min(of(L, [...ZONES[other].halves[0], ...ZONES[other].halves[1]][0]), 2);
        if (Z[z] === 0) Z[z] = bits.next(t.flag.at(z, k, Math.min(activity, 7))) ?? 0;
        if (Z[z] === 0) continue;
      }
      for (const half of halves) {
        const contexts = half.map(context);
        half.forEach((cell, i) => {
          if (of(L, cell) || !bits.next(t.significance.at(z, k, Z[z] === 1 ? 1 : 0, ...contexts[i]))) return;
          const negative = bits.next(127);
          if (negative === null) return;
          put(L, cell, 1);
          put(sign, cell, negative ? -1 : 1);
          fresh.push(cell);
        });
      }
    }
    for (const cell of fresh) { put(low, cell, 2 ** p); put(width, cell, 2 ** p); }
    for (const z of order) {
      for (const cell of ZONES[z].halves.flat()) {
        if (of(L, cell) < 2) continue;
        const bit = bits.next(t.refinement.at(z, k, of(L, cell) === 2 ? 1 : 0));
        if (bit === null) continue;
        put(low, cell, of(low, cell) + bit * 2 ** p);
        put(width, cell, 2 ** p);
      }
    }
  }
  return range(0, planes - 1).map((p) => range(0, 31).map((u) => range(0, 31).map((v) => {
    const cell = { p, u, v };
    return of(sign, cell) * (of(low, cell) + 0.42 * of(width, cell));
  })));
}

// ---- The code of nqe-vgg -----------------------------------------------------------------------------------------

const PLACES = [0, 1, 2].flatMap((p) => range(0, 1023).map((i) => [p, i >> 5, i & 31])).filter(([p, u, v]) => u + v <= (p ? 8 : 16));

function classValues(code, planes, t, points) {
  const label = code[0] >> 3, count = planes === 1 ? 153 : 243, known = PLACES.map(() => []);
  const order = range(0, count - 1).flatMap((i) => range(0, 7).map((b) => [8 * t.scales.at(label, i) + t.gains.at(b), i]));
  order.sort((a, b) => b[0] - a[0] || a[1] - b[1]);
  for (let bit = 5; bit < Math.min(8 * code.length, 512); bit++) known[order[bit - 5][1]].push(bitAt(code, bit));
  const c = range(0, planes - 1).map(() => range(0, 31).map(() => new Array(32).fill(0)));
  known.forEach(([negative, ...rest], i) => {
    if (negative === undefined) return;
    const [p, u, v] = PLACES[i], e = t.scales.at(label, i), m = rest.reduce((sum, bit) => 2 * sum + bit, 0);
    const size = points.at(rest.length, m) * 2 ** (e >> 1) * (e % 2 ? 45 / 32 : 1);
    c[p][u][v] = negative ? -size : size;
  });
  return c;
}

// ---- Plain inverse -----------------------------------------------------------------------------------------------

function inverse(matrix) {
  const n = matrix.length, work = matrix.map((row, i) => [...row, ...row.map((_, j) => (i === j ? 1 : 0))]);
  for (let i = 0; i < n; i++) {
    const pivot = range(i, n - 1).reduce((best, r) => (Math.abs(work[r][i]) > Math.abs(work[best][i]) ? r : best), i);
    [work[i], work[pivot]] = [work[pivot], work[i]];
    work[i] = work[i].map((x) => x / work[i][i]);
    for (let r = 0; r < n; r++) if (r !== i && work[r][i]) work[r] = work[r].map((x, j) => x - work[r][i] * work[i][j]);
  }
  return work.map((row) => row.slice(n));
}

const product = (a, b) => a.map((row) => b[0].map((_, j) => row.reduce((sum, x, k) => sum + x * b[k][j], 0)));
const transposed = (a) => a[0].map((_, j) => a.map((row) => row[j]));

function colours(P, y, x) {
  const first = P[0][y][x] + 384;
  if (P.length === 1) return [first / 3];
  const G = (first - P[2][y][x]) / 3;
  return [(first - G + P[1][y][x]) / 2, G, (first - G - P[1][y][x]) / 2];
}

// ---- A file ------------------------------------------------------------------------------------------------------

function decode(weights, file) {
  const { width, height, columns, coder, codes, planes, asRgb, alpha } = read(file), name = coder === 1 ? "nqe-t" : "nqe-vgg";
  const t = tensors(join(weights, `${name}.encoder.safetensors`));
  const points = coder === 0 && tensors(join(weights, "nqe-vgg.purenet.safetensors")).points;
  const W = range(0, 31).map((u) => range(0, 31).map((x) => 4 * t.coarse.at(u, x) + t.fine.at(u, x)));
  const V = inverse(W).map((row) => row.map((x) => 8 * x)), back = transposed(V);
  const channels = asRgb || alpha ? 3 : planes, all = channels + (alpha ? 1 : 0);
  const pixels = new Uint8Array(width * height * all), values = [];
  codes.forEach((code, k) => {
    const c = coder === 1 ? patchValues(code, planes, t) : classValues(code, planes, t, points);
    values.push(...c.flat(2));
    const P = c.map((plane, p) => product(product(V, plane.map((row) => row.map((x) => x / [1, 5 / 4, 3 / 4][p]))), back));
    const top = 32 * Math.floor(k / columns), left = 32 * (k % columns);
    for (let y = top; y < Math.min(top + 32, height); y++) {
      for (let x = left; x < Math.min(left + 32, width); x++) {
        const samples = colours(P, y - top, x - left).map((sample) => Math.min(Math.max(Math.round(sample), 0), 255));
        for (let i = 0; i < channels; i++) pixels[(y * width + x) * all + i] = samples[i] ?? samples[0];
      }
    }
  });
  if (alpha) inflateSync(alpha).forEach((value, i) => (pixels[i * all + all - 1] = value));
  return { values: Float32Array.from(values), pixels };
}

const [weights, ...jobs] = process.argv.slice(2);
for (let i = 0; i < jobs.length; i += 3) {
  const { values, pixels } = decode(weights, readFileSync(jobs[i]));
  writeFileSync(jobs[i + 1], values);
  writeFileSync(jobs[i + 2], pixels);
}
