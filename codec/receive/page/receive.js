"use strict";
/* The page of `heqcodec receive`: images by sender, kept up to date by server-sent events. */

const MOST_TILES = 600; // the oldest go
const REFRESH = 1500; // ms between two pictures of an image that is filling
const images = new Map(); // by key
const tiles = new Map();
const sections = new Map(); // by sender
let shown = null; // key of the image in the dialog
let sender = "";

const one = (id) => document.getElementById(id);

function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  Object.assign(element, attributes);
  element.append(...children);
  return element;
}

function facts(list, pairs) {
  list.replaceChildren(...pairs.filter(([, value]) => value !== null).map(([name, value]) =>
    make("div", {}, make("dt", { textContent: name }), make("dd", { textContent: value }))));
}

const count = (number) => number.toLocaleString("en");
const percent = (part) => (part > 0 && part < 0.01 ? "< 1 %" : `${Math.round(100 * part)} %`);
const time = (seconds) => new Date(1000 * seconds).toLocaleString();

// ---- what an image looks like

function bits(image) {
  const known = [];
  for (let index = 0; index < image.rows * image.columns; index++) {
    const byte = parseInt(image.patches.substr((index >> 3) * 2, 2), 16);
    known.push(Boolean(byte & (128 >> (index & 7))));
  }
  return known;
}

function draw(picture, image) {
  const canvas = picture.querySelector("canvas");
  const side = image.columns > 64 ? 8 : 32;
  canvas.width = image.columns * side;
  canvas.height = image.rows * side;
  // Patches reach beyond the border of an image whose sides are no multiples of theirs.
  canvas.style.width = `${(3200 * image.columns) / image.width}%`;
  canvas.style.height = `${(3200 * image.rows) / image.height}%`;
  picture.style.aspectRatio = `${image.width} / ${image.height}`;
  picture.style.setProperty("--ratio", image.width / image.height);
  if (!image.patches) return;
  const context = canvas.getContext("2d");
  context.strokeStyle = getComputedStyle(document.body).getPropertyValue("--mark");
  context.fillStyle = context.strokeStyle;
  context.lineWidth = side / 16;
  bits(image).forEach((known, index) => {
    if (known) return;
    const x = (index % image.columns) * side, y = Math.floor(index / image.columns) * side;
    context.globalAlpha = 0.3;
    context.fillRect(x, y, side, side);
    context.globalAlpha = 0.9;
    context.beginPath();
    context.moveTo(x, y + side);
    context.lineTo(x + side, y);
    context.stroke();
  });
}

/* Pictures are asked for as they come near the screen, and not more often than they can be made. */
const visible = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    entry.target.near = entry.isIntersecting;
    if (entry.isIntersecting) refresh(entry.target);
  }
}, { rootMargin: "300px" });

function refresh(picture) {
  const image = images.get(picture.key);
  if (!image || !picture.near || picture.waits || !image.known) return;
  const wanted = `images/${image.key}.${picture.suffix}?v=${image.version}${image.png ? "w" : ""}`;
  if (picture.wanted === wanted) return;
  picture.waits = true;
  picture.wanted = wanted;
  const next = new Image();
  const done = (loaded) => {
    if (loaded && picture.key === image.key) picture.querySelector("img").src = next.src;
    setTimeout(() => { picture.waits = false; refresh(picture); }, loaded ? REFRESH : 4 * REFRESH);
  };
  next.onload = () => done(true);
  next.onerror = () => { picture.wanted = null; done(false); };
  next.src = wanted;
}

function share(image) { return image.patches ? image.known / (image.rows * image.columns) : 0; }

function loss(image) {
  const all = image.total || image.came + image.missing;
  return all ? image.missing / all : 0;
}

/* While an image is received, what is missing may still come. */
function absent(image) {
  if (image.state === "receiving") return `${count(image.missing)} packets to come`;
  return `${percent(loss(image))} of the packets lost`;
}

const NAMES = {
  receiving: "receiving", decoding: "being decoded", whole: "whole", partial: "incomplete",
  failed: "failed", waiting: "waits for a start packet",
};

// ---- gallery

function section(image) {
  if (!sections.has(image.sender)) {
    const list = make("ul", { className: "gallery" });
    const about = make("small");
    const element = make("section", { className: "sender" },
      make("header", {}, make("h2", { textContent: `Sender ${image.sender}` }), about), list);
    element.dataset.sender = image.sender;
    sections.set(image.sender, { element, list, about, last: 0 });
    const option = make("option", { value: image.sender, textContent: image.sender });
    const after = [...one("sender").options].find((o) => Number(o.value) > image.sender);
    one("sender").insertBefore(option, after || null);
  }
  return sections.get(image.sender);
}

function tile(image) {
  if (!tiles.has(image.key)) {
    const picture = make("div", { className: "picture" }, make("img", { alt: "" }), make("canvas"));
    Object.assign(picture, { key: image.key, suffix: "jpg" });
    const button = make("button", { type: "button", className: "tile" }, picture,
      make("strong"), make("small"),
      make("div", { className: "track" }, make("div", { className: "fill" })));
    button.addEventListener("click", () => open(image.key));
    const item = make("li", {}, button);
    item.dataset.key = image.key;
    tiles.set(image.key, item);
    const list = section(image).list;
    const before = [...list.children].find((other) => Number(other.dataset.key) < image.key);
    list.insertBefore(item, before || null);
    visible.observe(picture);
  }
  return tiles.get(image.key);
}

function update(image) {
  images.set(image.key, image);
  const item = tile(image), button = item.firstChild;
  button.className = `tile ${image.state}`;
  item.dataset.state = image.state;
  const name = `Image ${image.image}`;
  const left = image.missing ? `, ${absent(image)}` : "";
  const state = `${NAMES[image.state]}, ${percent(share(image))} of the patches${left}`;
  button.querySelector("strong").textContent = name;
  button.querySelector("small").textContent = state;
  button.setAttribute("aria-label", `${name} of sender ${image.sender}, ${state}`);
  button.querySelector(".fill").style.width = `${100 * share(image)}%`;
  const picture = button.querySelector(".picture");
  draw(picture, image);
  refresh(picture);
  const group = section(image);
  group.last = Math.max(group.last, image.last);
  if (shown === image.key) fill();
}

function remove(key) {
  const item = tiles.get(key);
  if (!item) return;
  visible.unobserve(item.querySelector(".picture"));
  item.remove();
  tiles.delete(key);
  images.delete(key);
  if (shown === key) one("detail").close();
}

function arrange() {
  const all = [...sections.values()].sort((a, b) => b.last - a.last);
  const main = one("senders");
  // Moved only where the order changed: a moved element loses the focus.
  all.forEach((group, place) => {
    if (main.children[place + 1] !== group.element) {
      const focused = document.activeElement;
      main.insertBefore(group.element, main.children[place + 1] || null);
      if (group.element.contains(focused)) focused.focus();
    }
    group.element.hidden = Boolean(sender) && group.element.dataset.sender !== sender;
    const mine = [...group.list.children].map((item) => images.get(Number(item.dataset.key)));
    const whole = mine.filter((image) => image.state === "whole").length;
    group.about.textContent = `${whole} of ${mine.length} whole, last heard ${time(group.last)}`;
  });
  one("none").hidden = images.size > 0;
}

function totals(now) {
  const c = now.counts;
  const known = ["stored", "duplicates", "waiting"];
  const refused = Object.entries(c).filter(([name]) => !known.includes(name));
  const bad = refused.reduce((sum, [, number]) => sum + number, 0);
  facts(one("totals"), [
    ["packets", count(c.stored || 0)], ["duplicates", count(c.duplicates || 0)],
    ["refused", count(bad)], ["receiving", count(now.receiving)],
    ["to decode", now.due ? count(now.due) : null],
  ]);
  one("totals").title = refused.map(([name, number]) => `${name}: ${number}`).join("\n");
  one("sources").textContent = `From ${now.sources.join(", ")}.`;
}

function take(data) {
  data.images.forEach(update);
  const keys = [...tiles.keys()].sort((a, b) => a - b);
  keys.slice(0, Math.max(0, keys.length - MOST_TILES)).filter((k) => k !== shown).forEach(remove);
  (data.removed || []).forEach(remove);
  totals(data.totals);
  arrange();
}

// ---- one image

function open(key) {
  shown = key;
  const picture = one("detail").querySelector(".picture");
  if (picture.key !== key) {
    Object.assign(picture, { key, suffix: "png", wanted: null, waits: false, near: true });
    // What the gallery has is there at once.
    picture.querySelector("img").src = tiles.get(key).querySelector("img").src || "data:,";
  }
  one("told").textContent = "";
  fill();
  if (!one("detail").open) one("detail").showModal();
}

function fill() {
  const image = images.get(shown), picture = one("detail").querySelector(".picture");
  one("detail-title").textContent =
    `Image ${image.image} of sender ${image.sender}: ${NAMES[image.state]}`;
  picture.querySelector("img").alt = `Image ${image.image} of sender ${image.sender}`;
  draw(picture, image);
  refresh(picture);
  one("problem").hidden = !image.error;
  one("problem").textContent = image.error || "";
  const bpp = (8 * image.bytes) / (image.width * image.height);
  const rate = image.quality === undefined ? `${image.bits} bits a patch` : image.quality;
  facts(one("figures"), [
    ["size", `${image.width} × ${image.height}`],
    ["model", image.model], ["quality", rate],
    ["patches", `${image.known} of ${image.rows * image.columns}`],
    ["packets", image.total ? `${image.came} of ${image.total}` : `${image.came}`],
    ["missing", `${count(image.missing)} (${percent(loss(image))})`],
    ["duplicates", count(image.duplicates)],
    ["bytes", image.bytes ? `${count(image.bytes)} (${bpp.toFixed(2)} bpp)` : null],
    ["first", time(image.first)], ["last", time(image.last)],
  ]);
  one("png").href = `images/${image.key}.png`;
  one("heq").href = `images/${image.key}.heq`;
  const name = `${image.sender}-${image.image}-${image.key}`;
  one("png").download = `${name}.png`;
  one("heq").download = `${name}.heq`;
  one("png").hidden = !image.known;
  one("heq").hidden = !image.heq;
  one("resend").hidden = !image.missing;
  one("send").hidden = !image.way;
  if (image.missing) list(image);
}

function ranges(numbers) {
  const runs = [];
  for (const number of numbers) {
    const last = runs[runs.length - 1];
    if (last && last[1] + 1 === number) last[1] = number;
    else runs.push([number, number]);
  }
  return runs.map(([a, b]) => (a === b ? `${a}` : `${a}-${b}`)).join(", ");
}

async function list(image) {
  const version = `${image.key} ${image.version}`;
  if (list.version === version) return;
  list.version = version;
  const answer = await fetch(`api/images/${image.key}/resend`);
  if (!answer.ok || shown !== image.key) return;
  const asked = await answer.json();
  one("numbers").value = ranges(asked.numbers);
  one("bytes").value = asked.bytes;
  one("send").disabled = !asked.way;
}

async function copy(area) {
  try {
    await navigator.clipboard.writeText(area.value);
  } catch {
    area.select(); // Without https only the old way is open.
    document.execCommand("copy");
  }
  one("told").textContent = "Copied.";
}

async function send() {
  const answer = await fetch(`api/images/${shown}/resend`,
    { method: "POST", headers: { "X-Heqcodec": "page" } });
  const said = await answer.json();
  one("told").textContent = answer.ok ? "Sent." : said.error;
}

function step(by) {
  const order = [...document.querySelectorAll(".gallery li")].filter((item) => item.offsetParent);
  const place = order.findIndex((item) => Number(item.dataset.key) === shown);
  const next = order[place + by];
  if (next) open(Number(next.dataset.key));
}

// ---- keyboard, controls

function mark(on) {
  one("marks").checked = on;
  document.body.classList.toggle("unmarked", !on);
}

/* The tile that lies that way on the screen, whatever the columns. */
function move(key) {
  const from = document.activeElement.closest(".tile");
  const all = [...document.querySelectorAll(".tile")].filter((other) => other.offsetParent);
  if (!from) return all[0];
  const sideways = { ArrowLeft: -1, ArrowRight: 1 }[key];
  if (sideways) return all[all.indexOf(from) + sideways];
  const here = from.getBoundingClientRect(), down = key === "ArrowDown";
  let best = null, least = Infinity;
  for (const other of all) {
    const there = other.getBoundingClientRect();
    const rows = down ? there.top - here.top : here.top - there.top;
    if (rows < 1) continue;
    const distance = 1000 * rows + Math.abs(there.left - here.left);
    if (distance < least) [best, least] = [other, distance];
  }
  return best;
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  if (event.target.closest("select, textarea")) return;
  const dialog = one("detail").open;
  if (event.key === "m" || event.key === "M") mark(!one("marks").checked);
  else if (dialog && event.key === "ArrowLeft") step(-1);
  else if (dialog && event.key === "ArrowRight") step(1);
  else if (!dialog && event.key.startsWith("Arrow")) {
    const next = move(event.key);
    if (!next) return;
    next.focus();
    event.preventDefault();
  }
});

one("marks").addEventListener("change", (event) => mark(event.target.checked));
one("sender").addEventListener("change", (event) => {
  sender = event.target.value;
  arrange();
  if (sender) older(false);
});
one("close").addEventListener("click", () => one("detail").close());
one("previous").addEventListener("click", () => step(-1));
one("next").addEventListener("click", () => step(1));
one("detail").addEventListener("close", () => {
  const item = tiles.get(shown);
  shown = null;
  if (item) item.firstChild.focus();
});
one("copy-numbers").addEventListener("click", () => copy(one("numbers")));
one("copy-bytes").addEventListener("click", () => copy(one("bytes")));
one("send").addEventListener("click", send);
one("older").addEventListener("click", () => older(true));

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  for (const [key, item] of tiles) draw(item.querySelector(".picture"), images.get(key));
});

async function older(before) {
  const query = new URLSearchParams();
  const mine = [...images.values()].filter((image) => !sender || String(image.sender) === sender);
  if (sender) query.set("sender", sender);
  if (before && mine.length) query.set("before", Math.min(...mine.map((image) => image.key)));
  const answer = await fetch(`api/images?${query}`);
  if (!answer.ok) return;
  const data = await answer.json();
  one("older").hidden = !data.more;
  take(data);
}

// ---- events

const events = new EventSource("api/events");
events.onopen = () => {
  document.body.classList.add("live");
  one("live").textContent = "live";
  older(false); // What changed while nobody listened.
};
events.onerror = () => {
  document.body.classList.remove("live");
  one("live").textContent = "the receiver does not answer";
};
events.onmessage = (event) => take(JSON.parse(event.data));
