// Small things every part of the page needs.

export const $ = (id) => document.getElementById(id);

/** el makes an element; text goes in as text, never as markup (Trusted Types forbid the other way anyhow). */
export function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  const { dataset, ...rest } = props;
  Object.assign(node, rest);
  Object.assign(node.dataset, dataset);
  node.append(...children);
  return node;
}

/** setText touches the DOM only on change, so that a ticking page costs nothing while nothing happens. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** store is localStorage that never throws: private windows and blocked storage just forget. */
export const store = {
  get(key, fallback) {
    try {
      return JSON.parse(localStorage.getItem("fairlead." + key)) ?? fallback;
    } catch {
      return fallback;
    }
  },
  set(key, value) {
    try {
      localStorage.setItem("fairlead." + key, JSON.stringify(value));
    } catch {
      // Forgetting is the right behaviour here.
    }
  },
};

const numbers = new Intl.NumberFormat("en");
export const count = (n) => numbers.format(n);
export const plural = (n, one, many = one + "s") => `${count(n)} ${n === 1 ? one : many}`;

export function bytes(n) {
  if (n < 1024) return n + " B";
  const kib = n / 1024;
  return kib < 1024 ? `${kib.toFixed(kib < 10 ? 1 : 0)} KiB` : `${(kib / 1024).toFixed(1)} MiB`;
}

export function millis(ms) {
  return ms < 10 ? ms.toFixed(1) : count(Math.round(ms));
}

export function duration(ms) {
  if (ms < 1000) return Math.round(ms) + " ms";
  const s = ms / 1000;
  if (s < 10) return Number(s.toFixed(1)) + " s";
  if (s < 60) return Math.floor(s) + " s";
  if (s < 3600) return `${Math.floor(s / 60)} min ${Math.floor(s % 60)} s`;
  return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
}

const pad = (n, width = 2) => String(n).padStart(width, "0");

/** clock is the local time of day; by hand because Intl costs more than the rest of a row. */
export function clock(at, withMillis) {
  const d = new Date(at);
  const hms = `${pad(d.getHours())}:${pad(d.getMinutes())}:${pad(d.getSeconds())}`;
  return withMillis ? `${hms}.${pad(d.getMilliseconds(), 3)}` : hms;
}
