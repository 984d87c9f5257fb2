"use strict";
// Tables are sorted by a click on a head; the correlation circle is drawn for any two components.
// The page is complete without this script.

for (const table of document.querySelectorAll("table")) {
  const body = table.tBodies[0];
  if (body.rows.length < 3 || [...body.rows].some((row) => row.cells.length < 2)) continue;
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    head.tabIndex = 0;
    head.classList.add("sortable");
    const sort = () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const rows = [...body.rows].map((row) => [key(row.cells[column].textContent), row]);
      rows.sort(([a], [b]) => compare(a, b, down ? -1 : 1));
      body.append(...rows.map(([, row]) => row));
    };
    head.addEventListener("click", sort);
    head.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      sort();
    });
  });
}

// The first number of a cell, or its text; null where nothing is known.
function key(text) {
  const said = text.trim();
  if (said === "" || said === "\u2013") return null;
  const plain = said.replace(/\u2212/g, "-").replace(/(\d)[\u202f\u00a0](?=\d{3})/g, "$1");
  const found = /^[+-]?\d+(\.\d+)?/.exec(plain);
  return found ? Number(found[0]) : said.toLowerCase();
}

// What is not known comes last in both directions, words behind numbers.
function compare(a, b, sign) {
  if (a === null || b === null) return (a === null) - (b === null);
  if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
  return sign * (typeof a === "number" ? a - b : a.localeCompare(b));
}

for (const box of document.querySelectorAll(".circles")) {
  const data = JSON.parse(box.querySelector("script").textContent);
  const [one, other] = box.querySelectorAll("select");
  const fill = (select, chosen) => {
    for (let c = 1; c <= data.components; c++) select.add(new Option(c, c, false, c === chosen));
  };
  fill(one, data.pair[0]);
  fill(other, data.pair[1]);
  box.querySelector(".choice").hidden = false;
  const redraw = () => draw(box.querySelector(".drawing"), data, Number(one.value), Number(other.value));
  one.addEventListener("change", redraw);
  other.addEventListener("change", redraw);
}

function draw(place, data, one, other) {
  const unit = 200;
  const svg = shape("svg", { viewBox: "-560 -270 1120 600", role: "img", class: "circle" });
  svg.setAttribute("aria-label", `Correlation circle of components ${one} and ${other}`);
  svg.append(shape("circle", { r: unit, class: "rim" }));
  svg.append(shape("path", { d: "M-520 0H520M0 -240V240", class: "axis" }));
  for (const end of [-1, -0.5, 0.5, 1]) {
    svg.append(words([`${end}`.replace("-", "\u2212")], end * unit, 258, "middle", "tick"));
    svg.append(words([`${end}`.replace("-", "\u2212")], -536, -end * unit, "middle", "tick"));
  }
  svg.append(words([`Component ${one} (across), component ${other} (up)`], 0, 280, "middle", "tick"));
  const shown = one === other ? [] : data.shown[[Math.min(one, other), Math.max(one, other)].join(" ")];
  const arrows = shown.map((at) => ({
    x: data.features[at].r[one - 1] * unit,
    y: -data.features[at].r[other - 1] * unit,
    colour: data.features[at].c,
    name: data.features[at].n,
  }));
  for (const right of [true, false]) {
    const side = arrows.filter((a) => a.x >= 0 === right).sort((a, b) => a.y - b.y);
    spread(side);
    for (const arrow of side) {
      const edge = right ? 226 : -226;
      svg.append(shape("path", { d: `M0 0L${arrow.x} ${arrow.y}`, stroke: arrow.colour, class: "arrow" }));
      svg.append(shape("circle", { cx: arrow.x, cy: arrow.y, r: 4, fill: arrow.colour }));
      svg.append(
        shape("path", { d: `M${arrow.x} ${arrow.y}L${edge} ${arrow.at}`, stroke: arrow.colour, class: "lead" })
      );
      svg.append(words(arrow.name, right ? 231 : -231, arrow.at, right ? "start" : "end", "name"));
    }
  }
  legend(svg, data.legend);
  place.replaceChildren(svg);
}

function legend(svg, kinds) {
  kinds.forEach(([name, colour], at) => {
    const x = (at - kinds.length / 2) * 130;
    svg.append(shape("rect", { x, y: 305, width: 14, height: 9, fill: colour }));
    svg.append(words([name], x + 19, 310, "start", "name"));
  });
}

// Labels beside the circle are moved apart, down first and then up again.
function spread(side) {
  const half = (arrow) => 7.5 + 5.5 * (arrow.name.length - 1);
  let least = -262;
  for (const arrow of side) {
    arrow.at = Math.max(arrow.y, least + half(arrow));
    least = arrow.at + half(arrow);
  }
  let most = 262;
  for (const arrow of side.slice().reverse()) {
    arrow.at = Math.min(arrow.at, most - half(arrow));
    most = arrow.at - half(arrow);
  }
}

function shape(kind, attributes) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", kind);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

function words(lines, x, y, anchor, kind) {
  const text = shape("text", { "text-anchor": anchor, class: kind });
  lines.forEach((line, at) => {
    const part = shape("tspan", { x, y: y + 4 + 11 * (at - (lines.length - 1) / 2) });
    part.textContent = line;
    text.append(part);
  });
  return text;
}
