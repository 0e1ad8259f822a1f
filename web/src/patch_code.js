// The patch code of nqe-t (coder 1): the code of a patch to intervals of its coefficients; see docs/FORMAT.md.

const SIDE = 36, PLANE = SIDE * SIDE; // a margin of 2 around 32 x 32, so that every neighbour exists
const TOP = 17, BOTTOM = 5, PLANES = TOP - BOTTOM + 1, EVEN = 127;
const LUMA_RINGS = [1, 2, 4, 9, 19, 39, 82, 170, 362, 785], CHROMA_RINGS = [1, 3, 11, 37, 122, 401];
/** Zones of plane 0 beside those of planes 1 and 2, by ring from the mean on. */
const BESIDE = [[0], [1], [3], [7], [10], [16], [22, 23]];
const FIRST_CHROMA = 28, CHROMA_ZONES = BESIDE.length;
export const ZONES = FIRST_CHROMA + 2 * CHROMA_ZONES;
const NEAR = [-SIDE, SIDE, -1, 1], FAR = [-SIDE - 1, -SIDE + 1, SIDE - 1, SIDE + 1, -2 * SIDE, 2 * SIDE, -2, 2];
const SUM_BINS = Uint8Array.from({ length: 64 }, (_, sum) => [1, 2, 3, 5, 8, 12, 18].filter((cut) => sum >= cut).length);
const CROSS = [0, 8, 16, 16];
/** From a cell of a plane to those of the two others. */
const OTHERS = [[PLANE, 2 * PLANE], [-PLANE, PLANE], [-2 * PLANE, -PLANE]];

const ringOf = (square, rings) => rings.filter((first) => square >= first).length - 1;

/** Zones in their order: {plane, ring, halves: cells of each, near: numbers of zones}. */
function findZones() {
  const found = new Map();
  for (let plane = 0; plane < 3; plane++) {
    for (let u = 0; u < 32; u++) {
      for (let v = 0; v < 32; v++) {
        const square = u * u + v * v, ring = ringOf(square, plane ? CHROMA_RINGS : LUMA_RINGS);
        const turn = plane || !square || 2 * u <= v ? 0 : 2 * v <= u ? 1 : 2, key = (plane * 16 + ring + 1) * 3 + turn;
        if (!found.has(key)) found.set(key, { key, plane, ring, turn, cells: [] });
        found.get(key).cells.push({ square, u, v });
      }
    }
  }
  const zones = [...found.values()].sort((a, b) => a.key - b.key);
  const numbers = (plane, ring, test = () => true) =>
    [...zones.keys()].filter((i) => zones[i].plane === plane && zones[i].ring === ring && test(zones[i].turn));
  return zones.map(({ plane, ring, turn, cells }) => {
    cells.sort((a, b) => a.square - b.square || a.u - b.u || a.v - b.v);
    const halves = [0, 1].map((odd) => cells.filter(({ u, v }) => (u + v) % 2 === odd).map(({ u, v }) => (plane * SIDE + u + 2) * SIDE + v + 2));
    const near = plane
      ? [...numbers(3 - plane, ring), ...numbers(plane, ring - 1), ...numbers(plane, ring + 1), ...BESIDE[ring + 1]]
      : [...[-1, 1].flatMap((far) => numbers(0, ring + far, (other) => other === turn)), ...numbers(0, ring, (other) => other !== turn)];
    return { plane, halves, near, size: cells.length };
  });
}

/** Decodes bits of one code; `open` until it ends. */
class Arithmetic {
  constructor(code, widths) {
    Object.assign(this, { code, widths, bits: 8 * code.length, range: 65535, offset: 0, read: 0 });
    while (this.read < 16) this.load();
    this.open = this.offset < 65535;
  }

  load() {
    const { code, read } = this;
    this.offset = 2 * this.offset + ((code[read >> 3] >> (7 - (read & 7))) & 1);
    this.read++;
  }

  /** A bit, or -1 where the code does not decide it; then it has ended. */
  bit(state) {
    const width = state === EVEN ? this.range >> 1 : this.widths[8 * state + ((this.range >> 12) & 7)], cut = this.range - width;
    const one = this.offset >= cut;
    if (one) {
      this.offset -= cut;
      this.range = width;
    } else if (this.offset + 2 ** Math.max(this.read - this.bits, 0) <= cut) this.range = cut;
    else {
      this.open = false;
      return -1;
    }
    while (this.range < 32768) {
      this.range <<= 1;
      this.load();
    }
    if (this.read - this.bits >= 16) this.open = false;
    return +one;
  }
}

/** Reads codes; what it found of the last one stands in its arrays, by cell. */
export class PatchCodeReader {
  /** @param {object} tables `significance`, `flag`, `refinement`, `lps` and `order` of the model. */
  constructor(tables) {
    this.tables = tables;
    this.zones = findZones();
    this.cells = Int32Array.from({ length: 3072 }, (_, i) => ((i >> 10) * SIDE + ((i >> 5) & 31) + 2) * SIDE + (i & 31) + 2);
    this.zoneOf = new Uint8Array(3 * PLANE);
    this.zones.forEach(({ halves }, zone) => halves.flat().forEach((cell) => (this.zoneOf[cell] = zone)));
    this.levels = new Uint8Array(3 * PLANE);
    this.low = new Int32Array(3 * PLANE);
    this.width = new Int32Array(3 * PLANE);
    this.negative = new Uint8Array(3 * PLANE);
    this.active = new Uint8Array(ZONES);
    this.reached = new Uint8Array(ZONES);
    this.contexts = new Uint8Array(512);
  }

  /** Decode the code of a patch. */
  read(code, planes) {
    for (const array of [this.levels, this.low, this.width, this.negative, this.active, this.reached]) array.fill(0);
    this.planes = planes;
    this.coder = new Arithmetic(code, this.tables.lps);
    this.significant = [];
    const order = [...this.tables.order].filter((zone) => this.zones[zone].plane < planes);
    for (let plane = TOP; plane >= BOTTOM && this.coder.open; plane--) {
      const earlier = this.significant.length;
      for (const cell of this.significant) this.levels[cell] = Math.min(this.levels[cell] + 1, 3);
      for (let zone = 0; zone < ZONES; zone++) if (this.active[zone]) this.active[zone] = 2;
      for (const zone of order) {
        if (!this.coder.open) break;
        this.readSignificance(zone, TOP - plane);
        if (this.coder.open) this.reached[zone] = TOP - plane + 1;
      }
      for (let i = earlier; i < this.significant.length; i++) this.low[this.significant[i]] = this.width[this.significant[i]] = 1 << plane;
      if (!earlier) continue;
      for (const zone of order) this.readRefinement(zone, plane);
    }
  }

  readSignificance(zone, k) {
    const { coder, levels, active, tables } = this, { halves, size } = this.zones[zone];
    if (size > 1 && !active[zone]) active[zone] = +(coder.bit(tables.flag[(zone * PLANES + k) * 8 + this.activity(zone)]) > 0);
    if (size > 1 && !active[zone]) return;
    const contexts = 24 * (2 * (zone * PLANES + k) + (active[zone] === 1));
    for (const cells of halves) {
      cells.forEach((cell, i) => { if (!levels[cell]) this.contexts[i] = this.context(zone, cell); });
      for (let i = 0; i < cells.length && coder.open; i++) {
        const cell = cells[i];
        if (levels[cell] || coder.bit(tables.significance[contexts + this.contexts[i]]) < 1 || !coder.open) continue;
        const minus = coder.bit(EVEN);
        if (minus < 0) continue;
        levels[cell] = 1;
        this.negative[cell] = minus;
        this.significant.push(cell);
      }
    }
  }

  /** Of the flag of a zone. */
  activity(zone) {
    let sum = 0;
    for (const near of this.zones[zone].near) {
      const { size, halves } = this.zones[near];
      sum += size > 1 ? this.active[near] : Math.min(this.levels[halves[0][0] ?? halves[1][0]], 2);
    }
    return Math.min(sum, 7);
  }

  /** Of a coefficient's significance: 8 cross + near. */
  context(zone, cell) {
    const { levels } = this, { plane } = this.zones[zone];
    let sum = 0;
    for (const far of NEAR) sum += levels[cell + far];
    sum *= 2;
    for (const far of FAR) sum += levels[cell + far];
    if (this.planes === 1) return SUM_BINS[sum];
    const [one, other] = OTHERS[plane];
    return CROSS[Math.max(levels[cell + one], levels[cell + other])] + SUM_BINS[sum];
  }

  readRefinement(zone, plane) {
    const { coder, levels, tables } = this, at = 2 * (zone * PLANES + TOP - plane);
    for (const cells of this.zones[zone].halves) {
      for (const cell of cells) {
        if (levels[cell] < 2) continue;
        if (!coder.open) return;
        const bit = coder.bit(tables.refinement[at + (levels[cell] === 2)]);
        if (bit < 0) return;
        this.low[cell] += bit << plane;
        this.width[cell] = 1 << plane;
      }
    }
  }

  /** How far each zone was coded, 0 to 1; of grey, colour differences have that of the luminance beside them. */
  hints(hints) {
    for (let zone = 0; zone < ZONES; zone++) {
      const of = this.planes === 1 && zone >= FIRST_CHROMA ? BESIDE[(zone - FIRST_CHROMA) % CHROMA_ZONES][0] : zone;
      hints[zone] = this.reached[of] / PLANES;
    }
  }

  /** From where on a coefficient of a zone, which is not significant, would have been. */
  unseen(cell) {
    return 2 ** (TOP + 1 - this.reached[this.zoneOf[cell]]);
  }
}
