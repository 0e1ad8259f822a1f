// Elements from text and attributes. Names of files and codecs only ever become text nodes and
// attribute values, so that none of them can become markup.

const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null));
  return node;
}

function html(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

function svg(name, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children);
}

/** A labelled choice; `options` are [value, text] and `change` gets the value. */
function choice(label, options, change, selected) {
  const select = html("select", { onchange: () => change(select.value) });
  for (const [value, text] of options) select.append(html("option", { value }, text));
  if (selected !== undefined) select.value = selected;
  return html("label", {}, html("span", {}, label), select);
}

/** A number for people: "n/a" where there is none; without digits, as short as it is. */
function figure(value, digits) {
  if (value === null || value === undefined) return "n/a";
  const number = Number(value); // infinite ones come as text, for want of them in JSON
  if (!Number.isFinite(number)) return number < 0 ? "-∞" : "∞";
  return digits === null ? String(number) : number.toFixed(digits);
}

/** A setting as its codec counts it, such as "quality 50". */
function settingText(name, value) {
  return value === null || value === undefined ? "" : `${name ?? "setting"} ${value}`;
}

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
