"use strict";
const content = JSON.parse(document.getElementById("content").textContent);
const byId = (id) => document.getElementById(id);
const DASHES = ["", "7 3", "2 2.5", "10 3 2 3", "4 2", "12 4", "1 3", "7 2 1 2 1 2"];

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function svg(name, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

const colour = (method) => `--c: var(--m${method % 12})`;
const dash = (method) => DASHES[method % DASHES.length];
const words = (value) => (value === null ? "–" : Number(value.toPrecision(5)).toString());

/** Round numbers between two ends, about `count` of them. */
function ticks(low, high, count) {
  const rough = (high - low) / count || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough);
  const found = [];
  for (let tick = Math.ceil(low / step); tick * step <= high + step * 1e-9; tick++) found.push(Number((tick * step).toPrecision(12)));
  return found;
}

/** A linear scale from values to pixels. */
function scale(low, high, from, to) {
  const width = high - low || 1;
  return (value) => from + ((value - low) / width) * (to - from);
}

function quantile(sorted, part) {
  const place = (sorted.length - 1) * part;
  const below = Math.floor(place);
  return sorted[below] + (place - below) * ((sorted[below + 1] ?? sorted[below]) - sorted[below]);
}

/** Sorted values of a metric for each method of a set that has any. */
function columns(set, symbol) {
  return set.methods
    .map((method, column) => ({
      method,
      values: set.values[symbol].map((row) => row[column]).filter((value) => value !== null).sort((a, b) => a - b),
    }))
    .filter(({ values }) => values.length);
}

function extent(all) {
  const low = Math.min(...all.map(({ values }) => values[0]));
  const high = Math.max(...all.map(({ values }) => values[values.length - 1]));
  const room = (high - low || Math.abs(high) || 1) * 0.04;
  return [low - room, high + room];
}

function chart(symbol, picture, label) {
  const metric = content.metrics[symbol];
  const arrow = { higher: " ↑", lower: " ↓", none: "" }[metric.better];
  picture.setAttribute("role", "img");
  picture.setAttribute("aria-label", label);
  return element("figure", { class: "chart" }, element("figcaption", {}, symbol + arrow, element("span", {}, metric.name + (metric.unit ? `, ${metric.unit}` : ""))), picture);
}

function group(method, ...children) {
  const made = svg("g", { "data-m": method, style: colour(method) }, ...children);
  made.prepend(svg("title", {}, document.createTextNode(content.methods[method])));
  return made;
}

function tag(method, x, y) {
  return svg("g", { class: "tag", transform: `translate(${x} ${y})` }, svg("circle", { r: 6.2 }), text(method + 1, 0, 3));
}

const text = (value, x, y, attributes = {}) => svg("text", { x, y, ...attributes }, document.createTextNode(String(value)));

/** A point (x, y): x % of the pairs score at most y. */
function curveChart(set, symbol) {
  const [width, height, left, bottom] = [360, 230, 46, 22];
  const all = columns(set, symbol);
  const picture = svg("svg", { viewBox: `0 0 ${width} ${height}` });
  if (!all.length) return chart(symbol, picture, "no values");
  const x = scale(0, 100, left, width - 10);
  const [low, high] = extent(all);
  const y = scale(low, high, height - bottom, 8);
  for (const tick of ticks(low, high, 5)) {
    picture.append(svg("line", { class: "axis", x1: left, x2: width - 10, y1: y(tick), y2: y(tick) }));
    picture.append(text(tick, left - 6, y(tick) + 3.5, { "text-anchor": "end" }));
  }
  for (const tick of [0, 20, 40, 60, 80, 100]) picture.append(text(`${tick} %`, x(tick), height - 6, { "text-anchor": "middle" }));
  all.forEach(({ method, values }, place) => {
    const points = values.map((value, i) => `${x((100 * (i + 1)) / values.length).toFixed(1)},${y(value).toFixed(1)}`);
    const line = svg("polyline", { class: "line", points: points.join(" "), "stroke-dasharray": dash(method) });
    // Numbers at different places of different curves, so that they are told apart without colour.
    const at = Math.min(values.length - 1, Math.floor(((place + 0.6) / all.length) * values.length));
    picture.append(group(method, line, tag(method, x((100 * (at + 1)) / values.length), y(values[at]))));
  });
  const medians = all.map(({ method, values }) => `${content.methods[method]} ${words(quantile(values, 0.5))}`);
  return chart(symbol, picture, `Cumulative distribution of ${symbol}. Medians: ${medians.join(", ")}`);
}

function boxChart(set, symbol) {
  const all = columns(set, symbol);
  const [width, row, left] = [360, 21, 26];
  const height = all.length * row + 24;
  const picture = svg("svg", { viewBox: `0 0 ${width} ${height}` });
  if (!all.length) return chart(symbol, picture, "no values");
  const [low, high] = extent(all);
  const x = scale(low, high, left, width - 6);
  for (const tick of ticks(low, high, 5)) {
    picture.append(svg("line", { class: "axis", x1: x(tick), x2: x(tick), y1: 0, y2: height - 18 }));
    picture.append(text(tick, x(tick), height - 5, { "text-anchor": "middle" }));
  }
  all.forEach(({ method, values }, place) => {
    const y = place * row + row / 2;
    const [q1, q2, q3] = [0.25, 0.5, 0.75].map((part) => quantile(values, part));
    const reach = 1.5 * (q3 - q1);
    const inside = values.filter((value) => value >= q1 - reach && value <= q3 + reach);
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const parts = [
      svg("line", { class: "stroke", x1: x(inside[0]), x2: x(inside[inside.length - 1]), y1: y, y2: y }),
      svg("rect", { class: "fill", x: x(q1), y: y - 6, width: Math.max(0.5, x(q3) - x(q1)), height: 12, rx: 2 }),
      svg("line", { class: "stroke", x1: x(q2), x2: x(q2), y1: y - 6, y2: y + 6, "stroke-width": 2.4 }),
      svg("path", { class: "dot", d: `M${x(mean) - 3.4} ${y}l3.4 -3.4l3.4 3.4l-3.4 3.4z` }),
      tag(method, 9, y),
    ];
    const beyond = values.filter((value) => value < q1 - reach || value > q3 + reach);
    for (const value of beyond) parts.push(svg("circle", { class: "dot", cx: x(value), cy: y, r: 1.6 }));
    picture.append(group(method, ...parts));
  });
  const medians = all.map(({ method, values }) => `${content.methods[method]} ${words(quantile(values, 0.5))}`);
  return chart(symbol, picture, `Box plot of ${symbol}. Medians: ${medians.join(", ")}`);
}

function rankChart(set, symbol) {
  const ranks = set.ranks[symbol];
  const order = set.methods.map((method, i) => ({ method, rank: ranks.means[i] })).sort((a, b) => a.rank - b.rank);
  const [width, row, left] = [360, 19, 122];
  const height = order.length * row + 24;
  const picture = svg("svg", { viewBox: `0 0 ${width} ${height}` });
  const half = ranks.difference / 2;
  const x = scale(Math.min(1, order[0].rank - half), Math.max(order.length, order[order.length - 1].rank + half), left, width - 8);
  picture.append(svg("rect", { class: "band", x: x(order[0].rank - half), width: x(half) - x(-half), y: 0, height: height - 20 }));
  for (let rank = 1; rank <= order.length; rank++) {
    picture.append(svg("line", { class: "axis", x1: x(rank), x2: x(rank), y1: 0, y2: height - 18 }));
    picture.append(text(rank, x(rank), height - 5, { "text-anchor": "middle" }));
  }
  order.forEach(({ method, rank }, place) => {
    const y = place * row + row / 2;
    const name = content.methods[method];
    const label = text(name.length > 17 ? `${name.slice(0, 16)}…` : name, left - 16, y + 4, { class: "row", "text-anchor": "end" });
    const bar = svg("line", { class: "stroke", x1: x(rank - half), x2: x(rank + half), y1: y, y2: y, "stroke-width": 2.6, "stroke-linecap": "round" });
    picture.append(group(method, label, bar, tag(method, x(rank), y)));
  });
  const spoken = order.map(({ method, rank }) => `${content.methods[method]} ${rank.toFixed(2)}`);
  return chart(symbol, picture, `Mean ranks in ${symbol} over ${ranks.pairs} pairs: ${spoken.join(", ")}`);
}

function drawCharts(set) {
  const symbols = Object.keys(content.metrics);
  const ranked = symbols.filter((symbol) => set.ranks[symbol]);
  byId("ranks").hidden = !ranked.length;
  byId("rank-charts").replaceChildren(...ranked.map((symbol) => rankChart(set, symbol)));
  byId("curve-charts").replaceChildren(...symbols.map((symbol) => curveChart(set, symbol)));
  byId("box-charts").replaceChildren(...symbols.map((symbol) => boxChart(set, symbol)));
}

function drawLegend(set) {
  const main = document.querySelector("main");
  const buttons = set.methods.map((method) => {
    const sample = svg("svg", { viewBox: "0 0 30 10" }, svg("line", { class: "line", x1: 0, x2: 30, y1: 5, y2: 5, "stroke-dasharray": dash(method), style: "stroke-width:2.4" }));
    const button = element("button", { type: "button", "aria-pressed": "false", style: colour(method) }, element("span", { class: "key" }, String(method + 1)), sample, content.methods[method]);
    button.addEventListener("click", () => {
      const chosen = button.getAttribute("aria-pressed") !== "true";
      for (const other of buttons) other.setAttribute("aria-pressed", String(chosen && other === button));
      main.classList.toggle("emphasis", chosen);
      for (const mark of document.querySelectorAll("svg [data-m]")) mark.classList.toggle("chosen", mark.dataset.m === String(method));
    });
    return button;
  });
  main.classList.remove("emphasis");
  byId("legend").replaceChildren(...buttons);
}
