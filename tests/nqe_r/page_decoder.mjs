// A decoder of levels of coder 2 and of their plain pixels, written from docs/FORMAT.md and docs/DECODER.md alone:
// it shares no code with heqcodec. node page_decoder.mjs WEIGHTS [FILE.heq LEVELS PIXELS] ...
// It writes int16 levels, of each patch its size and then its planes, and uint8 pixels (height, width, channels).
import { readFileSync, writeFileSync } from "node:fs";
import { inflateSync } from "node:zlib";
import { join } from "node:path";
import { crc32, fail, readChunks } from "../support/page_file.mjs";

const ARRAYS = { I8: Int8Array, U8: Uint8Array, I16: Int16Array, U16: Uint16Array, I32: Int32Array, F32: Float32Array };

/** Tensors of a safetensors file, by name, without their shapes; F16 is left out. */
function tensors(path) {
  const file = readFileSync(path);
  const length = Number(file.readBigUInt64LE(0));
  const found = {};
  for (const [name, { dtype, data_offsets: [begin, end] }] of Object.entries(JSON.parse(file.toString("utf8", 8, 8 + length)))) {
    if (ARRAYS[dtype]) found[name] = new ARRAYS[dtype](Uint8Array.from(file.subarray(8 + length + begin, 8 + length + end)).buffer);
  }
  return found;
}

// ---- Layout ------------------------------------------------------------------------------------------------------

function read(file) {
  const u16 = (at) => file.readUInt16LE(at), u32 = (at) => file.readUInt32LE(at);
  if (file.toString("hex", 0, 8) !== "894845510d0a1a0a") fail("no magic");
  if (u32(40) !== crc32(file.subarray(0, 40))) fail("header damaged");
  const [version, mode, coder, kind] = file.subarray(8, 12), weighted = (kind & 64) !== 0, channels = kind & ~64;
  if (version !== 1 || mode !== 1 || coder !== 2) fail("not version 1, mode 1, coder 2");
  const [width, height, stripRows] = [u32(12), u32(16), file[22]];
  const rows = Math.ceil(height / 32), columns = Math.ceil(width / 32);
  const strips = [];
  let at = 44;
  for (let i = 0; i < Math.ceil(rows / stripRows); i++) {
    const length = u32(at + 4), end = at + 8 + length;
    if (u16(at) !== i || u32(end) !== crc32(file.subarray(at, end))) fail(`strip ${i} damaged`);
    strips.push({ step: u16(at + 2), payload: file.subarray(at + 8, end), rows: Math.min(stripRows, rows - i * stripRows) });
    at = end + 4;
  }
  return { width, height, rows, columns, planes: channels === 3 ? 3 : 1, asRgb: channels === 129, weighted, strips, alpha: readChunks(file, at).ALPH };
}

// ---- Layout of a patch -------------------------------------------------------------------------------------------

const BAND = [];
for (let u = 0; u < 16; u++) for (let v = 0; v < 16; v++) BAND.push([u, v]);
BAND.sort(([a, b], [c, d]) => a * a + b * b - c * c - d * d || a - c || b - d);
const RANK = Array.from({ length: 16 }, () => []);
BAND.forEach(([u, v], rank) => (RANK[u][v] = rank));

// ---- Device payload ----------------------------------------------------------------------------------------------

const CONTEXTS = {}, SETS = {};
let contexts = 0;
for (const [name, number] of Object.entries({
  size: 2, zero_score: 384, zero_both: 400, zero_other: 648, zero_first: 384,
  larger_score: 1920, larger_both: 500, larger_other: 300, escape: 16, sign_around: 432, sign_plane: 81,
  sign_border: 153, more_group: 192, more_left: 180, more_plane: 140, dc: 270, dc_escape: 48, dc_sign: 27,
})) { CONTEXTS[name] = contexts; contexts += number; }
let total = 0;
for (const [name, number] of Object.entries({ one: 1, zero: 432, larger: 60, sign: 9, sign_border: 6, more: 24 })) {
  SETS[name] = total; total += number;
}
const ZONES = [1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192];
const reached = (cuts) => (x) => cuts.filter((cut) => x >= cut).length;
const zoneOf = reached(ZONES), groupOf = reached([1, 4, 12, 32, 96]);
const bin16 = reached([1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 20, 28, 40, 60]), bin10 = reached([1, 2, 3, 4, 5, 7, 10, 15, 24]), bin7 = reached([1, 2, 3, 4, 6, 10]);
const bin6 = reached([1, 2, 3, 5, 9]), bin4 = reached([1, 4, 10]), gapReached = reached([1, 2, 4, 6, 9, 14, 24, 40]);
const clamp = (x, low, high) => Math.min(Math.max(x, low), high);

/** Index of several numbers, the last fastest: [value, size] pairs after the first value. */
const index = (first, ...rest) => rest.reduce((sum, [value, size]) => sum * size + value, first);

class Bits {
  constructor(tables, payload) {
    Object.assign(this, { widths: tables.widths, payload, at: 16, range: 65535, T: 0, offset: 0 });
    for (let i = 0; i < 16; i++) this.offset = 2 * this.offset + this.bitAt(i);
    if (this.offset >= 65535) fail("payload begins with 65535");
    if (payload.length && !payload[payload.length - 1]) fail("payload ends in 0");
  }
  bitAt(i) { return ((this.payload[i >> 3] ?? 0) >> (7 - (i & 7))) & 1; }
  code(odds) {
    const likely = odds >= 0 ? 1 : 0, width = this.widths[Math.abs(odds) * 8 + ((this.range >> 12) & 7)];
    const cut = this.range - width;
    const bit = this.offset < cut ? likely : 1 - likely;
    if (bit === likely) this.range = cut;
    else { this.offset -= cut; this.range = width; }
    while (this.range < 32768) { this.range *= 2; this.offset = 2 * this.offset + this.bitAt(this.at++); this.T++; }
    return bit;
  }
}

class Device {
  constructor(tables, planes, columns, step, payload) {
    Object.assign(this, { tables, planes, columns, bits: new Bits(tables, payload), size: 0, before: 0 });
    const a = clamp(step - 320, 0, 511), k = a >> 7, f = (a & 127) >> 4;
    const { start, squash } = tables;
    this.P = Array.from({ length: contexts }, (_, c) => squash[128 + (((8 - f) * start[k * contexts + c] + f * start[(k + 1) * contexts + c] + 4) >> 3)]);
    this.M = Array.from({ length: planes }, () => new Int32Array(1024));
    this.S = Array.from({ length: planes }, () => new Int32Array(12));
    this.N = Array.from({ length: planes }, () => new Int32Array(32));
    this.left = { D: new Int32Array(planes), size: 0, R: null };
    this.above = [];
  }
  decide(set, contexts, shift) {
    const { weights, stretch } = this.tables, { P } = this;
    let sum = 16;
    contexts.forEach((c, i) => (sum += weights[set * 4 + i] * stretch[P[c] >> 5]));
    const bit = this.bits.code(clamp(sum >> 5, -127, 127));
    for (const c of contexts) P[c] += bit ? (65535 - P[c]) >> shift : -(P[c] >> shift);
    return bit;
  }
  one(context, shift = 5) { return this.decide(SETS.one, [context], shift); }
  escape(contexts) {
    let length = 0, x = 1;
    while (length < 15 && this.one(contexts + length)) length++;
    for (let i = 0; i < length; i++) x = 2 * x + this.bits.code(0);
    return x - 1;
  }

  /** A strip: levels by patch, plane and number, and sizes by patch. */
  strip(rows) {
    const made = { levels: [], sizes: [] };
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < this.columns; column++) {
        made.levels.push(this.patch(row, column));
        made.sizes.push(this.size);
      }
    }
    if (this.bits.payload.length > (this.bits.T >> 3) + 1) fail("payload too long");
    return made;
  }

  patch(row, column) {
    this.size = this.one(CONTEXTS.size + this.size);
    const keeps = column < 32, above = row > 0 && keeps ? this.above[column] : null;
    const patch = { row, column, size: this.size, above, own: { D: [], size: this.size } };
    const levels = [];
    let difference = 0;
    for (let p = 0; p < this.planes; p++) {
      const { level, d } = this.dc(patch, p, difference);
      if (p === 0) difference = d;
      levels.push(this.plane(patch, p, level, d, levels));
    }
    this.corner = above;
    this.left = patch.own;
    if (keeps) this.above[column] = patch.own;
    return levels;
  }

  dc({ column, above }, p, first) {
    const left = this.left.D[p];
    let E = left, G = 0;
    if (above && column === 0) E = above.D[p];
    else if (above) {
      const corner = this.corner.D[p], up = above.D[p];
      E = [left, up, left + up - corner].sort((a, b) => a - b)[1];
      G = Math.abs(left - corner) + Math.abs(up - corner);
    }
    const M = this.M[p];
    const energy = G + M[1] + M[2] + M[3] + M[4] + M[8] + (p ? 2 * Math.abs(first) : 0);
    let n = 0;
    while (n < 15 && this.one(CONTEXTS.dc + index(p, [bin6(energy >> 1), 6], [n, 15]))) n++;
    if (n === 15) n += this.escape(CONTEXTS.dc_escape + 16 * p);
    if (n && !this.one(CONTEXTS.dc_sign + index(p, [this.S[p][1] + 1, 3], [(p ? Math.sign(first) : 0) + 1, 3]))) n = -n;
    return { level: E + n, d: n };
  }

  plane(patch, p, level, d, done) {
    const { size } = patch, M = this.M[p], S = this.S[p], N = this.N[p], colour = p ? 1 : 0;
    const levels = new Int32Array(1024);
    if (Math.abs(level) > 32767) fail("level out of range");
    patch.own.D[p] = levels[0] = level;
    M[0] = 0;
    S[0] = Math.sign(d);
    if (p === 0) this.beginBorders(patch, level);
    let before = 0;
    const from = (counts, g) => counts.subarray(g).reduce((a, b) => a + b, 0);
    for (let g = 0; g < 32; g++) {
      const left = from(N, g);
      let others = 0;
      for (let other = 0; other < p; other++) others += from(this.N[other], g);
      const more = this.decide(SETS.more + index(p, [g >> 2, 8]), [
        CONTEXTS.more_group + index(p, [size, 2], [g, 32]),
        CONTEXTS.more_left + index(p, [bin10(before), 10], [bin6(left), 6]),
        CONTEXTS.more_plane + index(colour, [bin10(left), 10], [bin7(others), 7]),
      ], 5);
      if (!more) {
        M.fill(0, g ? 32 * g : 1);
        N.fill(0, g);
        if (g === 0) S.fill(0, 1);
        break;
      }
      let count = 0, sum = 0;
      for (let band = 8 * g; band < 8 * g + 8; band++) {
        for (let sub = band ? 0 : 1; sub < 4; sub++) {
          const i = 4 * band + sub, value = this.level(patch, p, band, sub);
          if (Math.abs(value) > 32767) fail("level out of range");
          levels[i] = value;
          M[i] = Math.min(Math.abs(value), 255);
          if (band < 3) S[i] = Math.sign(value);
          if (value) count++;
          sum += M[i];
          if (p === 0 && value) this.addToBorders(patch, band, sub, clamp(value, -127, 127));
        }
        if (p === 0 && band === 0 && size) this.addMeans(patch);
      }
      N[g] = count;
      before = sum;
    }
    if (p === 0) this.endBorders(patch);
    return levels;
  }

  level(patch, p, band, sub) {
    const { size } = patch, [u, v] = BAND[band], colour = p ? 1 : 0;
    const at = (plane, a, b, of = sub) => RANK[u + a]?.[v + b] === undefined ? 0 : this.M[plane][4 * RANK[u + a][v + b] + of];
    const M = (a, b, of) => at(p, a, b, of);
    const edges = M(-1, 0) + M(0, -1);
    const diagonal = M(-1, -1), far = M(-2, 0) + M(0, -2) + M(-1, 1) + M(1, -1), near = 2 * edges + diagonal + far;
    const higher = M(1, 0) + M(0, 1);
    let lower = 0, beyond = 0, before = 0, ahead = 0;
    for (let of = 0; of < 4; of++) {
      lower += M(-1, 0, of) + M(0, -1, of);
      beyond += M(-2, 0, of) + M(0, -2, of);
      if (of < sub) before += M(0, 0, of);
      if (of > sub) ahead += M(0, 0, of);
    }
    const same = before + 3 * M(0, 0, sub ^ 1) + M(0, 0) + (sub >= 2 ? 2 * M(0, 0, sub - 2) : 0);
    const luma = p ? at(0, 0, 0) : 0, lumaEdges = p ? at(0, -1, 0) + at(0, 0, -1) : 0, chroma = p === 2 ? at(1, 0, 0) : 0;
    const other = p ? lumaEdges + 2 * luma + 2 * chroma : higher;
    const zone = zoneOf(band), group = groupOf(band), both4 = bin4(near + same);
    const x = [edges, diagonal, far, higher, M(0, 0), before, ahead, lower, beyond, luma, lumaEdges, chroma].map(bin16);
    const place = band < 64 ? band : 64 + Math.floor((band - 64) / 3), k = 2 * p + size;
    const score = (i) => {
      const { scores, places } = this.tables;
      const sum = x.reduce((all, bin, j) => all + scores[index(i, [6 * k + group, 36], [j, 12], [bin, 16])], places[index(i, [k, 6], [place, 128], [sub, 4])]);
      return clamp((sum + 64) >> 3, 0, 15);
    };
    const zero = this.decide(SETS.zero + index(p, [size, 2], [zone, 18], [both4, 4]), [
      CONTEXTS.zero_score + index(colour, [size, 2], [group, 6], [score(0), 16]),
      CONTEXTS.zero_both + index(colour, [size, 2], [bin10(near), 10], [bin10(same), 10]),
      CONTEXTS.zero_other + index(p, [zone >> 1, 9], [bin6(other), 6], [both4, 4]),
      CONTEXTS.zero_first + index(colour, [size, 2], [bin6(other), 6], [score(0), 16]),
    ], 6);
    if (!zero) return 0;
    let n = 1;
    for (; n < 15; n++) {
      const kind = n < 4 ? n - 1 : n < 8 ? 3 : 4, half = (near + same) >> 1;
      const larger = this.decide(SETS.larger + index(kind, [p, 3], [bin4(half), 4]), [
        CONTEXTS.larger_score + index(kind, [colour, 2], [size, 2], [group, 6], [score(1), 16]),
        CONTEXTS.larger_both + index(kind, [bin10(near >> 1), 10], [bin10(same >> 1), 10]),
        CONTEXTS.larger_other + index(kind, [bin10(half), 10], [bin6(other >> 1), 6]),
      ], 5);
      if (!larger) break;
    }
    if (n === 15) n += this.escape(CONTEXTS.escape);
    return this.sign(patch, p, band, sub, n) ? n : -n;
  }

  sign(patch, p, band, sub, magnitude) {
    const { size } = patch, i = 4 * band + sub, colour = p ? 1 : 0, S = this.S[p];
    const border = p === 0 && band < 128 && (size === 0 || band > 0);
    let gap = 0, bordered = 0;
    if (border) {
      gap = this.gap(patch, band, sub);
      const gap17 = 8 + gapReached(gap) - gapReached(-gap), area = band < 3 ? 0 : band < 24 ? 1 : 2;
      bordered = CONTEXTS.sign_border + index(area, [Math.min(magnitude, 3) - 1, 3], [gap17, 17]);
    }
    if (band >= 3) return border && gap ? this.one(bordered, 6) : this.bits.code(0);
    const across = size ? S[i ^ 1] : S[i], along = size ? (sub >= 2 ? S[i - 2] : 0) : S[0];
    const around = CONTEXTS.sign_around + index(colour, [size, 2], [band, 3], [sub, 4], [across + 1, 3], [along + 1, 3]);
    if (border) return this.decide(SETS.sign_border + index(size, [band, 3]), [around, bordered], 5);
    const base = p ? this.S[0][i] : 0;
    const plane = CONTEXTS.sign_plane + index(p, [band, 3], [across + 1, 3], [base + 1, 3]);
    return this.decide(SETS.sign + index(p, [band, 3]), [around, plane], 5);
  }

  // ---- Borders: profiles of plane 0, [quarter][frequency along the side]; a whole patch is quarter 0 ----

  beginBorders(patch, level) {
    const { size, column, above } = patch, count = size ? 4 : 1, most = size ? 8 : 16;
    const empty = () => Array.from({ length: count }, () => new Int32Array(most));
    Object.assign(patch, { level, L: empty(), R: empty(), T: empty(), B: empty() });
    // Of the patches beside it, as the profiles of one transform, [W], or of two quarters, [P, Q].
    patch.beyondLeft = column ? turned(this.left.R, this.left.size, size) : null;
    patch.beyondTop = above ? turned(above.B, above.size, size) : null;
    patch.steps = [this.left.D[0] - level, above ? above.D[0] - level : 0];
  }

  addToBorders(patch, band, sub, l) {
    const { size } = patch, [u, v] = BAND[band];
    if (size && band === 0) return void ((patch.means ??= [0, 0, 0, 0])[sub] = l);
    const quarter = size ? sub : 0, U = size ? u : 2 * u + (sub >> 1), V = size ? v : 2 * v + (sub & 1);
    const a = (f) => (f === 0 ? 3 : f <= 12 ? 4 : f <= 22 ? 3 : 2) * l;
    const toSide = a(size ? 2 * V : V), toTop = a(size ? 2 * U : U), most = size ? 8 : 16;
    if (U < most) { patch.L[quarter][U] += toSide; patch.R[quarter][U] += V & 1 ? -toSide : toSide; }
    if (V < most) { patch.T[quarter][V] += toTop; patch.B[quarter][V] += U & 1 ? -toTop : toTop; }
  }

  addMeans(patch) {
    const [, l1, l2, l3] = patch.means ?? [0, 0, 0, 0];
    for (let quarter = 0; quarter < 4; quarter++) {
      const m = (quarter & 1 ? -l1 : l1) + (quarter & 2 ? -l2 : l2) + (quarter === 1 || quarter === 2 ? -l3 : l3);
      for (const side of [patch.L, patch.R, patch.T, patch.B]) side[quarter][0] += m + (m >> 1);
    }
  }

  endBorders({ own, size, R, B }) {
    own.R = size ? [R[1], R[3]] : R;
    const kept = size ? [B[2].slice(0, 4), B[3].slice(0, 4)] : [B[0].slice(0, 8)];
    own.B = kept.map((profile) => profile.map((x) => clamp(x, -127, 127)));
  }

  gap(patch, band, sub) {
    const { size, L, R, T, B, beyondLeft, beyondTop, steps } = patch, [u, v] = BAND[band];
    const c = (x) => (size ? x + (x >> 1) : 3 * x);
    let gap = 0;
    const beyond = (profile, at, own, step) => {
      if (profile[at] !== undefined) gap += profile[at] - own[at] + (at === 0 ? c(step) : 0);
    };
    if (size === 0) {
      const U = 2 * u + (sub >> 1), V = 2 * v + (sub & 1);
      if (beyondLeft && U < 16) beyond(beyondLeft[0], U, L[0], steps[0]);
      if (beyondTop && V < 8) beyond(beyondTop[0], V, T[0], steps[1]);
      return gap;
    }
    const row = sub >> 1, column = sub & 1;
    if (u < 8) {
      if (column) gap += R[sub - 1][u] - L[sub][u];
      else {
        if (beyondLeft) beyond(beyondLeft[row], u, L[sub], steps[0]);
        gap += (v & 1 ? -1 : 1) * (L[sub + 1][u] - R[sub][u]);
      }
    }
    if (v < 8) {
      if (row) gap += B[sub - 2][v] - T[sub][v];
      else {
        if (beyondTop && v < 4) beyond(beyondTop[column], v, T[sub], steps[1]);
        gap += (u & 1 ? -1 : 1) * (T[sub + 2][v] - B[sub][v]);
      }
    }
    return gap;
  }
}

/** A side's profiles by the size of the patch that looks at it; what is not known is undefined. */
function turned(profiles, from, to) {
  if (from === to) return profiles;
  const sign = (i) => (i & 1 ? -1 : 1);
  if (from) {
    const whole = [];
    profiles[0].forEach((P, i) => (whole[2 * i] = P + sign(i) * profiles[1][i]));
    return [whole];
  }
  const first = profiles[0].filter((_, i) => i % 2 === 0).map((W) => W >> 1);
  return [first, first.map((P, i) => sign(i) * P)];
}

// ---- Plain inverse -----------------------------------------------------------------------------------------------

/** Inverse of a matrix, rows of numbers, by Gauss and Jordan. */
function inverse(matrix) {
  const n = matrix.length, work = matrix.map((row, i) => [...row, ...row.map((_, j) => (i === j ? 1 : 0))]);
  for (let i = 0; i < n; i++) {
    let pivot = i;
    for (let r = i; r < n; r++) if (Math.abs(work[r][i]) > Math.abs(work[pivot][i])) pivot = r;
    [work[i], work[pivot]] = [work[pivot], work[i]];
    work[i] = work[i].map((x, _, row) => x / row[i]);
    for (let r = 0; r < n; r++) if (r !== i) work[r] = work[r].map((x, k) => x - work[r][i] * work[i][k]);
  }
  return work.map((row) => row.slice(n));
}
const product = (a, b) => a.map((row) => b[0].map((_, j) => row.reduce((sum, x, k) => sum + x * b[k][j], 0)));
const transposed = (a) => a[0].map((_, j) => a.map((row) => row[j]));
const square = (n) => Array.from({ length: n }, () => new Array(n).fill(0));

const WEIGHTS = [16, 14, 12, 11, 10, 10, 9, 9, 8, 8, 8, 8, 7, 7, 7, 7, 7, 7, 6, 6, 6, 6, 6, 6, 6, 6, 6, 5, 5, 5, 5];

class Plain {
  constructor(encoder, places) {
    Object.assign(this, { steps: encoder.steps, places });
    const A = (layer, f, x) => encoder.layers[(layer * 32 + f) * 32 + x];
    const W = square(32).map((row, f) => row.map((_, x) => 16 * A(0, f, x) + 4 * A(1, f, x) + A(2, f, x)));
    const half = square(16).map((row, u) => row.map((_, x) => W[2 * u][x]));
    [this.V, this.w] = [W, half].map((matrix) => inverse(matrix).map((row) => row.map((x) => 32 * x)));
  }

  /** Samples [plane][y][x] of a patch, before colour. */
  planes(levels, size, s, weighted) {
    const own = weighted ? Math.max(s - 96, 0) : s;
    return levels.map((q, p) => {
      const D = ((this.steps[(size * 3 + p) * 128 + (own & 127)] << (own >> 7)) + 8) >> 4;
      const c = Array.from(q, (level, i) => {
        if (level === 0) return 0;
        const [u, v] = BAND[i >> 2];
        const zone = [1, 4, 12.25, 25, 49, 81, 144].filter((end) => end < u * u + v * v).length;
        const place = this.places[((size * 8 + (s >> 7)) * 8 + zone) * 3 + Math.min(Math.abs(level), 3) - 1];
        return Math.sign(level) * (Math.abs(level) + place) * D * (weighted ? 16 / WEIGHTS[u + v] : 1);
      });
      return size ? this.quarters(c) : this.whole(c);
    });
  }
  whole(c) {
    const F = square(32);
    BAND.forEach(([u, v], band) => { for (let sub = 0; sub < 4; sub++) F[2 * u + (sub >> 1)][2 * v + (sub & 1)] = c[4 * band + sub]; });
    return product(product(this.V, F), transposed(this.V));
  }
  quarters(c) {
    const [c0, c1, c2, c3] = c;
    const means = [c0 + c1 + c2 + c3, c0 - c1 + c2 - c3, c0 + c1 - c2 - c3, c0 - c1 - c2 + c3];
    const made = square(32);
    for (let sub = 0; sub < 4; sub++) {
      const f = square(16);
      BAND.forEach(([u, v], band) => (f[u][v] = band ? c[4 * band + sub] : means[sub] / 2));
      const samples = product(product(this.w, f), transposed(this.w));
      samples.forEach((row, y) => row.forEach((x, i) => (made[16 * (sub >> 1) + y][16 * (sub & 1) + i] = x)));
    }
    return made;
  }
}

function colours(P, y, x) {
  const first = P[0][y][x] + 384;
  if (P.length === 1) return [first / 3];
  const G = (first - P[2][y][x]) / 3;
  return [(first - G + P[1][y][x]) / 2, G, (first - G - P[1][y][x]) / 2];
}

// ---- A file ------------------------------------------------------------------------------------------------------

function decode(weights, file) {
  const image = read(file), { width, height, columns, planes, alpha } = image;
  const tables = tensors(join(weights, "nqe-r.device.safetensors"));
  const places = tensors(join(weights, "nqe-r.purenet.safetensors"))["dequantizer.places"];
  const plain = new Plain(tensors(join(weights, "nqe-r.encoder.safetensors")), places);
  const channels = image.asRgb || alpha ? 3 : planes, all = channels + (alpha ? 1 : 0);
  const pixels = new Uint8Array(width * height * all), levels = [];
  let row = 0;
  for (const strip of image.strips) {
    const found = new Device(tables, planes, columns, strip.step, strip.payload).strip(strip.rows);
    found.levels.forEach((patch, k) => {
      levels.push(found.sizes[k], ...patch.flatMap((plane) => [...plane]));
      const P = plain.planes(patch, found.sizes[k], strip.step, image.weighted), top = 32 * (row + Math.floor(k / columns)), left = 32 * (k % columns);
      for (let y = top; y < Math.min(top + 32, height); y++) {
        for (let x = left; x < Math.min(left + 32, width); x++) {
          const samples = colours(P, y - top, x - left).map((sample) => clamp(Math.round(sample), 0, 255));
          for (let k = 0; k < channels; k++) pixels[(y * width + x) * all + k] = samples[k] ?? samples[0];
        }
      }
    });
    row += strip.rows;
  }
  if (alpha) inflateSync(alpha).forEach((value, i) => (pixels[i * all + all - 1] = value));
  return { levels: Int16Array.from(levels), pixels };
}

const [weights, ...jobs] = process.argv.slice(2);
for (let i = 0; i < jobs.length; i += 3) {
  const { levels, pixels } = decode(weights, readFileSync(jobs[i]));
  writeFileSync(jobs[i + 1], levels);
  writeFileSync(jobs[i + 2], pixels);
}
