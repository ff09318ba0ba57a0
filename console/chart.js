// The chart: two small SVG plots over one minute. SVG rather than canvas: it is crisp at any pixel density, takes its
// colours from the style sheet (theme, forced colours) and, at one redraw a second, costs nothing.

import { $, count, millis, setText } from "./dom.js";
import { WINDOW_S } from "./meters.js";

const rate = plot("chart-rate");
const rtt = plot("chart-rtt");

function plot(id) {
  const root = $(id);
  const paths = Object.fromEntries([...root.querySelectorAll("path")].map((p) => [p.getAttribute("class"), p]));
  return (name, d) => paths[name].setAttribute("d", d);
}

/** ceiling is the next 1, 2 or 5 × 10ⁿ, so that the scale moves seldom and reads easily. */
function ceiling(value, least) {
  if (value <= least) return least;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((m) => m * power).find((m) => m >= value);
}

const y = (value, top) => (98 - (value / top) * 94).toFixed(1);

function steps(values, top) {
  return values.map((v, i) => `${i ? "L" : "M"}${i} ${y(v, top)}H${i + 1}`).join("");
}

/** draw paints history (see Meters.history) and says the same in words. */
export function draw(history) {
  const ins = history.map((s) => s.in);
  const outs = history.map((s) => s.out);
  const top = ceiling(Math.max(...ins, ...outs), 5);
  const inLine = steps(ins, top);
  rate("in-line", inLine);
  rate("in-area", `${inLine}V98H0Z`);
  rate("out-line", outs.some(Boolean) ? steps(outs, top) : "");
  setText($("scale-rate"), `${count(top)} /s`);

  const measured = history.map((s, i) => ({ i: i + 0.5, mean: s.rttSum / s.rtts, max: s.rttMax, n: s.rtts })).filter((s) => s.n);
  const slowest = Math.max(0, ...measured.map((s) => s.max));
  const rttTop = ceiling(slowest, 1);
  // A line of no length with a round cap is a dot which the stretched view box cannot squash; the spread up to the
  // slowest of that second makes it a bar.
  rtt("rtt-dots", measured.map((s) => `M${s.i} ${y(s.mean, rttTop)}V${y(s.max, rttTop)}`).join(""));
  rtt("rtt-line", measured.map((s, k) => `${k && s.i - measured[k - 1].i < 3 ? "L" : "M"}${s.i} ${y(s.mean, rttTop)}`).join(""));
  setText($("scale-rtt"), `${rttTop} ms`);

  const down = history.map((s, i) => (s.down ? `M${i} 0h1v100h-1Z` : "")).join("");
  rate("down", down);
  rtt("down", down);
  describe(ins, outs, slowest, history.filter((s) => s.down).length);
}

function describe(ins, outs, slowest, downSeconds) {
  const sum = (values) => values.reduce((a, b) => a + b, 0);
  const parts = [
    `Last ${WINDOW_S} seconds: ${count(sum(ins))} messages in, at most ${count(Math.max(...ins))} a second`,
    `${count(sum(outs))} out`,
  ];
  if (slowest) parts.push(`slowest round trip ${millis(slowest)} ms`);
  if (downSeconds) parts.push(`not connected during ${downSeconds} of them`);
  setText($("chart-text"), parts.join("; ") + ".");
}
