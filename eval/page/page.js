// The page: its data, and its parts in order.

const page = JSON.parse(document.getElementById("data").textContent);

function drawSources(sources, facts) {
  const columns = [
    { key: "label", label: "curve" },
    { key: "source", label: "source" },
    { key: "version", label: "version" },
    { key: "images", label: "images", digits: 0 },
    { key: "about", label: "about" },
  ];
  const list = html("dl", {}, ...facts.flatMap(([name, value]) =>
    [html("dt", {}, name), html("dd", {}, value)]));
  document.getElementById("sources-table").append(
    new SortedTable("Sources", columns, sources).node, list);
}

const [summary, ...warnings] = page.summary;
document.getElementById("summary").append(
  html("p", {}, summary), ...warnings.map((line) => html("p", { class: "note" }, line)));
drawCurves(page.curves, page.measures);
drawPoints(page.curves);
drawSavings(page.curves, page.savings);
drawViewer(page.viewer);
drawImages(page.images.columns, page.images.rows);
drawSources(page.sources, page.facts);
