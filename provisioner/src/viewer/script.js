// @ts-check
// Asks for the drawings again every few seconds, and reads values out under the pointer or the arrow keys.
'use strict';

/** @typedef {{name: string, color: string, texts: (string | null)[]}} Row one line of a chart */
/** @typedef {{plot: [number, number, number, number], from: number, step: number, clock: string[], rows: Row[]}} Readings */
/** @typedef {{id: number, title: string, columns: number, svg: string, readings?: Readings}} Panel */
/** @typedef {{at: string | null, problem: string | null, panels: Panel[]}} Update */

const EVERY_MS = 5000;
const SVG = 'http://www.w3.org/2000/svg';

/** @param {string} id @returns {HTMLElement} */
const element = (id) => /** @type {HTMLElement} */ (document.getElementById(id));
const main = element('panels');
const reading = element('reading');

/** @type {Map<string, Readings>} by the id of the panel's section */
const readings = new Map();
/** @type {{section: string, index: number, at: [number, number] | null} | null} what is read out; counted from the last point */
let cursor = null;

/** @param {Panel} panel */
function show(panel) {
  const id = `panel-${panel.id}`;
  let section = document.getElementById(id);
  if (!section) {
    section = document.createElement('section');
    section.id = id;
    section.tabIndex = 0;
    section.setAttribute('aria-label', panel.title);
    main.append(section);
  }
  section.className = `span-${panel.columns}`;
  section.innerHTML = panel.svg;
  if (panel.readings) readings.set(id, panel.readings);
  else readings.delete(id);
}

/** @param {string | null} problem */
function tell(problem) {
  const box = element('problem');
  if (box.textContent !== (problem ?? '')) box.textContent = problem ?? '';
  box.hidden = !problem;
  main.classList.toggle('stale', Boolean(problem));
}

async function refresh() {
  const query = new URLSearchParams({ range: main.dataset.range ?? '', width: String(main.clientWidth) });
  try {
    const answer = await fetch(`/panels?${query}`, { signal: AbortSignal.timeout(20000) });
    /** @type {Update} */
    const update = await answer.json();
    update.panels.forEach(show);
    if (update.at) element('at').textContent = update.at;
    tell(update.problem);
    mark();
  } catch {
    tell('The dashboard does not answer: `provisioner dashboard` has ended. Start it again to go on.');
  }
}

async function run() {
  if (!document.hidden) await refresh();
  setTimeout(run, EVERY_MS);
}

/** Draws the line under the pointer into every chart: they share their time. */
function mark() {
  document.querySelectorAll('.cursor').forEach((line) => line.remove());
  reading.hidden = true;
  if (!cursor) return;
  for (const [id, { plot: [left, width, top, height], clock }] of readings) {
    const drawing = document.getElementById(id)?.querySelector('svg');
    if (!drawing) continue;
    const line = document.createElementNS(SVG, 'line');
    const x = left + (width * Math.min(cursor.index, clock.length - 1)) / Math.max(clock.length - 1, 1);
    line.setAttribute('class', 'cursor');
    for (const [name, value] of [['x1', x], ['x2', x], ['y1', top], ['y2', top + height]]) line.setAttribute(String(name), String(value));
    drawing.append(line);
  }
  read(cursor);
}

/** @param {{section: string, index: number, at: [number, number] | null}} what */
function read(what) {
  const of = readings.get(what.section);
  const section = document.getElementById(what.section);
  if (!of || !section) return;
  const title = document.createElement('span');
  title.append(of.clock[what.index] ?? '');
  const lines = of.rows.flatMap((row) => (row.texts[what.index] === null ? [] : [line(row, what.index)]));
  reading.replaceChildren(title, ...lines);
  reading.hidden = false;
  const box = section.getBoundingClientRect();
  const [x, y] = what.at ?? [box.left + 40, box.top + 40];
  const beside = x + 16 + reading.offsetWidth > innerWidth ? x - 16 - reading.offsetWidth : x + 16;
  reading.style.left = `${Math.max(4, beside) + scrollX}px`;
  reading.style.top = `${Math.max(4, Math.min(y, innerHeight - reading.offsetHeight - 8)) + scrollY}px`;
}

/** @param {Row} row @param {number} index */
function line(row, index) {
  const whole = document.createElement('span');
  const mark = document.createElementNS(SVG, 'svg');
  const bar = document.createElementNS(SVG, 'rect');
  mark.setAttribute('viewBox', '0 0 12 4');
  mark.setAttribute('aria-hidden', 'true');
  bar.setAttribute('class', `f-${row.color}`);
  bar.setAttribute('width', '12');
  bar.setAttribute('height', '4');
  mark.append(bar);
  const value = document.createElement('b');
  value.append(row.texts[index] ?? '');
  whole.append(mark, row.name, value);
  return whole;
}

main.addEventListener('pointermove', (event) => {
  const section = event.target instanceof Element ? event.target.closest('section') : null;
  const of = section && readings.get(section.id);
  const drawing = section?.querySelector('svg');
  if (!of || !drawing) return leave();
  const box = drawing.getBoundingClientRect();
  const x = ((event.clientX - box.left) / box.width) * drawing.viewBox.baseVal.width;
  const [left, width] = of.plot;
  if (x < left - 8 || x > left + width + 8) return leave();
  const index = Math.round(((x - left) / width) * (of.clock.length - 1));
  const inside = Math.max(0, Math.min(index, of.clock.length - 1));
  cursor = { section: section.id, index: inside, at: [event.clientX, event.clientY] };
  mark();
});

function leave() {
  cursor = null;
  mark();
}

main.addEventListener('pointerleave', leave);
main.addEventListener('focusout', leave);
main.addEventListener('keydown', (event) => {
  const section = event.target instanceof HTMLElement ? event.target.id : '';
  const of = readings.get(section);
  if (!of) return;
  const last = of.clock.length - 1;
  const now = cursor?.section === section ? cursor.index : last;
  const steps = { ArrowLeft: now - 1, ArrowRight: now + 1, Home: 0, End: last };
  const next = steps[/** @type {keyof typeof steps} */ (event.key)];
  if (event.key === 'Escape') leave();
  if (next === undefined) return;
  event.preventDefault();
  cursor = { section, index: Math.max(0, Math.min(next, last)), at: null };
  mark();
});

/** @param {string | null} theme `light`, `dark`, or none for what the browser prefers */
function dress(theme) {
  if (theme) document.documentElement.dataset.theme = theme;
  const dark = theme ? theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
  const button = element('theme');
  button.textContent = dark ? 'Light' : 'Dark';
  button.setAttribute('aria-label', `Switch to the ${dark ? 'light' : 'dark'} theme`);
  button.hidden = false;
  button.onclick = () => {
    const next = dark ? 'light' : 'dark';
    localStorage.setItem('theme', next);
    dress(next);
  };
}

dress(localStorage.getItem('theme'));
addEventListener('resize', () => {
  clearTimeout(resized);
  resized = setTimeout(refresh, 200);
});
let resized = 0;
run();
