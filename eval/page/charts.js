// Rate-distortion charts: one for each measure, with one legend for all of them.

const COLOURS = 7; // .c0 to .c6 in the style sheet
const MARKERS = [
  // Paths around (0, 0); 11 markers and 7 colours give 77 different pairs.
  "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0z", // disc
  "M-3.6-3.6h7.2v7.2h-7.2z", // square
  "M0-4.8L4.6 3.4h-9.2z", // triangle
  "M0-5.2L5.2 0L0 5.2L-5.2 0z", // diamond
  "M0 4.8L4.6-3.4h-9.2z", // triangle on its tip
  "M-1.5-4.6h3v3.1h3.1v3h-3.1v3.1h-3v-3.1h-3.1v-3h3.1z", // plus
  "M-4.4-2.3L-2.3-4.4L0-2.1L2.3-4.4L4.4-2.3L2.1 0L4.4 2.3L2.3 4.4L0 2.1L-2.3 4.4L-4.4 2.3L-2.1 0z",
  "M-4.8 0L3.4-4.6v9.2z", // triangle to the left
  "M0-5.4L1.3-1.8H5.1L2.1.6L3.2 4.4L0 2.2L-3.2 4.4L-2.1.6L-5.1-1.8H-1.3z", // star
  "M4.8 0L-3.4-4.6v9.2z", // triangle to the right
  "M0-4.7L4.5-1.5L2.8 3.8H-2.8L-4.5-1.5z", // pentagon
];
const POWERS = [0, 1, 3, 10, 30, 100, 300, 1000, 3000, 10000];
const NEAR = 48; // pixels from the pointer within which a point is named

/** Colour and marker of a curve: of its codec, so that published figures of it look alike. */
function look(curves, index) {
  const codecs = [...new Set(curves.map((curve) => curve.codec))];
  const place = codecs.indexOf(curves[index].codec);
  const kind = curves[index].published ? "published" : "measured";
  return { style: `curve ${kind} c${place % COLOURS}`, marker: MARKERS[place % MARKERS.length] };
}

/** The line and marker of a curve, as they stand in legends and tables. */
function swatch(curves, index) {
  const { style, marker } = look(curves, index);
  return svg(
    "svg",
    { class: `swatch ${style}`, viewBox: "-15 -7 30 14", "aria-hidden": "true" },
    svg("path", { class: "line", d: "M-15 0H15" }),
    svg("path", { class: "marker", d: marker }),
  );
}

/** Steps of 1, 2 or 5 times a power of ten, about `count` of them. */
function ticks(low, high, count) {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((factor) => factor * power >= rough) * power;
  const found = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-9; k++) {
    found.push(k * step);
  }
  return { values: found, digits: Math.max(0, -Math.floor(Math.log10(step) + 1e-9)) };
}

class Chart {
  /** `view` is what all charts share: {hidden: Set of curves, limit: largest rate}. */
  constructor(curves, measure, view) {
    Object.assign(this, { curves, measure, view });
    this.current = null; // [curve, point] that Tab reaches
    this.plot = svg("svg", { role: "group", "aria-label": `${measure.label} over bits per pixel` });
    this.tip = html("div", { class: "tip", hidden: true, "aria-hidden": "true" });
    const unit = measure.unit ? `, ${measure.unit}` : "";
    // Not on the drawing: browsers let an SVG element that listens for focus take it.
    const frame = html("div", {
      class: "plot",
      onpointermove: (event) => this.hover(event),
      onpointerdown: (event) => this.hover(event),
      onpointerleave: () => this.unmark(),
      onfocusin: (event) => this.mark(...place(event.target)),
      onfocusout: () => this.unmark(),
      onkeydown: (event) => this.key(event),
    }, this.plot, this.tip);
    this.node = html(
      "figure",
      { class: "chart", "data-measure": measure.key },
      html("figcaption", {}, html("strong", {}, measure.label), unit, html("small", {}, measure.hint)),
      frame,
    );
    new ResizeObserver(() => {
      if (this.plot.parentNode.clientWidth !== this.width) this.draw();
    }).observe(this.plot.parentNode);
  }

  /** The points of a curve that have this measure, by rising rate. */
  points(index) {
    return this.curves[index].points.filter((point) => Number.isFinite(point[this.measure.key]));
  }

  shown() {
    return this.curves
      .map((_, index) => index)
      .filter((index) => !this.view.hidden.has(index) && this.points(index).length > 0);
  }

  draw() {
    this.width = this.plot.parentNode.clientWidth;
    if (this.width === 0) return; // not laid out yet; the observer calls again
    const height = Math.round(clamp(this.width * 0.62, 250, 470));
    const box = { left: 46, right: this.width - 10, top: 10, bottom: height - 40 };
    const limit = this.view.limit;
    const values = this.shown().flatMap((index) =>
      this.points(index)
        .filter((point) => point.bpp <= limit)
        .map((point) => point[this.measure.key]),
    );
    this.plot.setAttribute("viewBox", `0 0 ${this.width} ${height}`);
    this.plot.replaceChildren();
    this.spots = [];
    this.unmark();
    const bent = this.measure.scale === "asinh" ? Math.asinh : (value) => value;
    let low = bent(values.length ? Math.min(...values) : 0);
    let high = bent(values.length ? Math.max(...values) : 1);
    const room = (high - low || Math.abs(high) || 1) * 0.05;
    [low, high] = [low - room, high + room];
    this.x = (bpp) => box.left + (bpp / limit) * (box.right - box.left);
    this.y = (value) => box.bottom - ((bent(value) - low) / (high - low)) * (box.bottom - box.top);
    const up = bent === Math.asinh
      ? { values: POWERS.filter((v) => bent(v) >= low && bent(v) <= high), digits: 0 }
      : ticks(low, high, height / 50);
    this.axes(box, limit, up, height);
    const clip = `clip-${this.measure.key}`;
    this.plot.append(
      svg("clipPath", { id: clip }, svg("rect", {
        x: box.left, y: box.top - 6, width: box.right - box.left + 6, height: box.bottom - box.top + 6,
      })),
    );
    const layer = svg("g", { "clip-path": `url(#${clip})` });
    for (const index of this.shown()) layer.append(this.curve(index, limit));
    this.plot.append(layer);
    if (!values.length) {
      const middle = { x: this.width / 2, y: height / 2, "text-anchor": "middle" };
      this.plot.append(svg("text", middle, "No curve shown has this measure at these rates."));
    }
    this.keepCurrent();
  }

  axes(box, limit, up, height) {
    const across = ticks(0, limit, Math.max(3, this.width / 90));
    for (const value of across.values) {
      this.plot.append(
        svg("path", { class: "grid", d: `M${this.x(value)} ${box.top}V${box.bottom}` }),
        svg("text", { x: this.x(value), y: box.bottom + 16, "text-anchor": "middle" },
          value.toFixed(across.digits)),
      );
    }
    for (const value of up.values) {
      this.plot.append(
        svg("path", { class: "grid", d: `M${box.left} ${this.y(value)}H${box.right}` }),
        svg("text", { x: box.left - 6, y: this.y(value) + 4, "text-anchor": "end" },
          value.toFixed(up.digits)),
      );
    }
    const { reference } = this.measure;
    if (this.y(reference) > box.top && this.y(reference) < box.bottom) {
      const d = `M${box.left} ${this.y(reference)}H${box.right}`;
      this.plot.append(svg("path", { class: "reference", d }));
    }
    this.plot.append(
      svg("text", { x: (box.left + box.right) / 2, y: height - 6, "text-anchor": "middle" },
        "bits per pixel"),
    );
  }

  curve(index, limit) {
    const { style, marker } = look(this.curves, index);
    const { label, setting_name: settingName } = this.curves[index];
    const points = this.points(index);
    const at = (point) => [this.x(point.bpp), this.y(point[this.measure.key])];
    const group = svg("g", { class: style, "data-curve": label });
    group.append(svg("path", {
      class: "line",
      d: points.map((point, k) => `${k ? "L" : "M"}${at(point).map((v) => v.toFixed(1))}`).join(""),
    }));
    for (const [k, point] of points.entries()) {
      if (point.bpp > limit) continue;
      const [x, y] = at(point);
      const lines = [
        label,
        settingText(settingName, point.setting),
        `${figure(point.bpp, 4)} bpp`,
        `${figure(point[this.measure.key], this.measure.digits)} ${this.measure.unit}`.trim(),
      ].filter(Boolean);
      const node = svg("path", {
        class: "marker", d: marker, transform: `translate(${x.toFixed(1)} ${y.toFixed(1)})`,
        tabindex: -1, role: "img", "aria-label": lines.join(", "),
        "data-curve": index, "data-point": k,
      });
      group.append(node);
      this.spots.push({ curve: index, point: k, x, y, lines, node });
    }
    return group;
  }

  /** Exactly one point can be reached with Tab: the last one visited, or the first. */
  keepCurrent() {
    const spot = this.spot(...(this.current ?? [])) ?? this.spots[0];
    this.current = spot ? [spot.curve, spot.point] : null;
    spot?.node.setAttribute("tabindex", 0);
  }

  spot(curve, point) {
    return this.spots.find((spot) => spot.curve === curve && spot.point === point);
  }

  hover(event) {
    const frame = this.plot.getBoundingClientRect();
    const scale = this.width / frame.width; // differs from 1 where the page is scaled for print
    const [x, y] = [(event.clientX - frame.left) * scale, (event.clientY - frame.top) * scale];
    let best = null;
    let least = NEAR;
    for (const spot of this.spots) {
      const distance = Math.hypot(spot.x - x, spot.y - y);
      if (distance < least) [best, least] = [spot, distance];
    }
    if (best) this.mark(best.curve, best.point);
    else this.unmark();
  }

  mark(curve, point) {
    const spot = this.spot(curve, point);
    if (!spot) return;
    this.unmark();
    this.plot.classList.add("marked");
    spot.node.parentNode.classList.add("marked");
    spot.node.classList.add("marked");
    const [name, ...rest] = spot.lines;
    this.tip.replaceChildren(html("strong", {}, name), ...rest.map((line) => html("div", {}, line)));
    this.tip.hidden = false;
    const { offsetWidth: width, offsetHeight: height } = this.tip;
    const right = spot.x + 14 + width <= this.width;
    this.tip.style.left = `${right ? spot.x + 14 : Math.max(0, spot.x - 14 - width)}px`;
    this.tip.style.top = `${Math.max(0, spot.y - height - 8)}px`;
  }

  unmark() {
    this.tip.hidden = true;
    for (const node of this.plot.querySelectorAll(".marked")) node.classList.remove("marked");
    this.plot.classList.remove("marked");
  }

  /** Left and right along a curve, up and down to the next curve at about the same rate. */
  key(event) {
    if (event.key === "Escape") return this.unmark();
    const here = this.spot(...place(event.target));
    if (!here) return;
    const own = this.spots.filter((spot) => spot.curve === here.curve);
    const position = own.indexOf(here);
    let next;
    if (event.key === "ArrowRight") next = own[position + 1];
    else if (event.key === "ArrowLeft") next = own[position - 1];
    else if (event.key === "Home") next = own[0];
    else if (event.key === "End") next = own[own.length - 1];
    else if (event.key === "ArrowUp" || event.key === "ArrowDown") {
      const curves = [...new Set(this.spots.map((spot) => spot.curve))];
      const step = event.key === "ArrowUp" ? -1 : 1;
      const other = curves.at((curves.indexOf(here.curve) + step) % curves.length);
      const distance = (spot) => Math.abs(spot.x - here.x);
      next = this.spots
        .filter((spot) => spot.curve === other)
        .reduce((best, spot) => (distance(spot) < distance(best) ? spot : best));
    } else return;
    event.preventDefault();
    if (!next) return;
    here.node.setAttribute("tabindex", -1);
    this.current = [next.curve, next.point];
    next.node.setAttribute("tabindex", 0);
    next.node.focus();
  }
}

/** [curve, point] of a marker. */
function place(node) {
  return ["data-curve", "data-point"].map((name) => parseInt(node.getAttribute(name), 10));
}

/** Round numbers for the largest rate shown, and one that shows everything. */
function rateLimits(curves) {
  const rates = curves.flatMap((curve) => curve.points.map((point) => point.bpp));
  const most = rates.length ? Math.max(...rates) : 1;
  const round = [0.25, 0.5, 1, 1.5, 2, 3, 5].filter((limit) => limit < most);
  return [...round, Number((most * 1.02).toPrecision(3))];
}

function drawCurves(curves, measures) {
  const limits = rateLimits(curves);
  const measured = curves.filter((curve) => !curve.published).flatMap((curve) => curve.points);
  // At first every measured point is there; published curves may reach further.
  const most = Math.max(0, ...measured.map((point) => point.bpp)) || 1;
  const view = { hidden: new Set(), limit: limits.find((limit) => limit >= most * 0.99) };
  const charts = measures.map((measure) => new Chart(curves, measure, view));
  const redraw = () => charts.forEach((chart) => chart.draw());
  const buttons = curves.map((curve, index) =>
    html("button", {
      type: "button", "aria-pressed": "true",
      onclick: () => show([index], view.hidden.has(index)),
    }, swatch(curves, index), html("span", {}, curve.label)),
  );
  const show = (indices, visible) => {
    for (const index of indices) {
      if (visible) view.hidden.delete(index);
      else view.hidden.add(index);
      buttons[index].setAttribute("aria-pressed", String(visible));
    }
    redraw();
  };
  const all = [...curves.keys()];
  document.getElementById("curve-controls").append(
    choice("Rates up to", limits.map((limit, k) => [k, k + 1 < limits.length ? `${limit} bpp` : "all"]),
      (k) => { view.limit = limits[k]; redraw(); }, limits.indexOf(view.limit)),
    html("button", { type: "button", onclick: () => show(all, true) }, "Show all"),
    html("button", { type: "button", onclick: () => show(all, false) }, "Hide all"),
  );
  document.getElementById("legend").append(...buttons.map((button) => html("li", {}, button)));
  document.getElementById("charts").append(...charts.map((chart) => chart.node));
  redraw();
}
