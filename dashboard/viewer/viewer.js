// The view of a scene on a page: what its reader does with it. It is drawn when something has changed.
//
// A view that is exact (isExact) has its eye in the camera of the picture.

import { Painter, isPainted } from "./painter.js";
import { back, between, bounds, cloudsOf, hitOf, minus, pictureLens } from "./scene.js";
import { project, readScene, rotation, seen, times } from "./scene.js";

const REACH = 10; // px around a joint within which it is told
const VIEWS = { front: [0, 0], side: [Math.PI / 2, 0], above: [0, Math.PI / 2] };
const button = (name, title, text) =>
  `<button type="button" data-act="${name}" title="${title}" aria-label="${title}">${text}</button>`;
const FULL = '<svg viewBox="0 0 16 16" aria-hidden="true"><path d="M2 6V2h4M10 2h4v4M14 10v4h-4M6 14H2v-4"/></svg>';
const PARTS = `<canvas tabindex="0" role="img"></canvas><div class="frame" hidden></div>
  <div class="tools" role="toolbar" aria-label="View">${[
    button("camera", "From the camera", '<span class="wide">From the camera</span><span class="tight">Camera</span>'),
    button("front", "Front", "Front"), button("side", "Side", "Side"), button("above", "Above", "Above"),
    button("home", "Reset", "Reset"), button("png", "Save as PNG", "PNG"), button("full", "Full screen", FULL),
  ].join("")}</div>
  <div class="scale" hidden><span></span><i></i><span></span><b>mm</b></div>
  <div class="foot"><div class="legend"></div>
  <div class="hint">Drag turns, right drag moves. Click first, or hold Ctrl, and the wheel zooms.</div></div>
  <div class="tip" hidden></div>`;
const WITHOUT = "The view in 3D needs WebGL 2, which this browser does not offer. Turn on hardware acceleration in its "
  + "settings or open the page in another browser; the pictures of this page show the same labels.";
const rgb = (colour) => `rgb(${colour.map((one) => 255 * one)})`;
const kept = new Map(); // views by the keys of their scenes, for when a page is drawn anew

class Viewer {
  constructor(root) {
    this.root = root;
    this.stage = root.querySelector(".viewer");
    this.stage.innerHTML = PARTS;
    for (const name of ["canvas", "frame", "tools", "scale", "legend", "tip"])
      this[name] = this.stage.querySelector(name === "canvas" ? name : `.${name}`);
    this.painter = new Painter(this.canvas);
    this.look = {}; // size of the canvas (CSS px), ratio of its pixels to these, ground and ink
    this.hidden = new Set();
    this.pointers = new Map();
    this.draws = 0;
    if (this.painter.gl) this.listen();
    else this.stage.innerHTML = `<p class="without">${WITHOUT}</p>`;
  }

  listen() {
    const on = (name, act, options) => this.canvas.addEventListener(name, act.bind(this), options);
    on("pointerdown", this.pressed);
    on("pointermove", this.moved);
    for (const name of ["pointerup", "pointercancel"]) on(name, (event) => this.pointers.delete(event.pointerId));
    on("pointerleave", () => this.tell(null));
    on("wheel", this.wheeled, { passive: false });
    on("keydown", this.typed);
    on("dblclick", () => this.act("home"));
    on("contextmenu", (event) => event.preventDefault());
    on("webglcontextlost", (event) => event.preventDefault());
    on("webglcontextrestored", () => this.reload());
    this.tools.addEventListener("click", (event) => this.act(event.target.closest("button")?.dataset.act));
    this.legend.addEventListener("click", (event) => this.toggle(event.target.closest("button")));
    this.observer = new ResizeObserver(() => this.fitted());
    this.observer.observe(this.stage);
  }

  // Take what Streamlit sends: a scene, the same again, or another theme.
  take(bytes) {
    if (!this.painter.gl) return this.said("without");
    const style = getComputedStyle(this.stage), before = String([this.look.ground, this.look.ink]);
    const colour = (text) => text.match(/[\d.]+/g).slice(0, 3).map((one) => one / 255);
    Object.assign(this.look, { ground: colour(style.backgroundColor), ink: colour(style.color) });
    if (String([this.look.ground, this.look.ink]) !== before) this.later();
    if (same(this.bytes, bytes)) return undefined;
    this.bytes = bytes;
    return this.show(readScene(bytes));
  }

  show(scene) {
    const isOther = this.scene?.key !== scene.key;
    if (isOther && this.scene) kept.delete(this.scene.key);
    const { view, hidden } = kept.get(scene.key) || {};
    if (isOther) [this.view, this.hidden] = [view, new Set(hidden)];
    if (this.view?.isExact && !scene.camera) this.view = null;
    this.scene = scene;
    this.canvas.setAttribute("aria-label", `${scene.label}. Arrow keys turn, + and - zoom, 0 resets.`);
    this.tools.querySelector("[data-act=camera]").hidden = !scene.camera;
    this.tools.querySelector("[data-act=full]").hidden = !document.fullscreenEnabled;
    this.label();
    this.reload();
    if (this.look.size) this.aim();
    this.fitted();
  }

  // Legend and scale of colours.
  label() {
    const { people, palette, limit, grid } = this.scene;
    const steps = palette.map((step) => `rgb(${step})`).join(",");
    this.legend.replaceChildren(...(people.length > 1 ? people : []).map((person, number) => {
      const entry = document.createElement("button"), swatch = document.createElement("i");
      swatch.style.background = person.distances ? `linear-gradient(90deg,${steps})` : rgb(person.colour);
      entry.append(swatch, person.name);
      Object.assign(entry, { type: "button", title: `Hide or show ${person.name}` });
      entry.dataset.number = number;
      entry.setAttribute("aria-pressed", !this.hidden.has(number));
      return entry;
    }));
    if (grid) this.legend.append(`Squares of ${grid.step} m`);
    this.scale.hidden = !people.some((person, number) => isPainted(person) && !this.hidden.has(number));
    this.scale.querySelector("i").style.background = `linear-gradient(0deg,${steps})`;
    [this.scale.children[0].textContent, this.scale.children[2].textContent] = [`\u2265 ${limit}`, "0"];
  }

  toggle(entry) {
    if (!entry) return;
    const number = Number(entry.dataset.number);
    if (!this.hidden.delete(number)) this.hidden.add(number);
    this.label();
    this.legend.querySelectorAll("button")[number].focus();
    this.later();
  }

  reload() {
    if (this.painter.gl.isContextLost()) return; // comes again when there is one
    this.painter.load(this.scene);
    const [low, high] = bounds([...cloudsOf(this.scene, true), this.scene.grid?.lines || []], rotation(0, 0));
    this.middle = between(low, high);
    this.radius = 0.51 * Math.hypot(...minus(high, low)) + 0.01;
    this.later();
  }

  // -------------------------------------------------------------------------------------------------------- views

  fitted() {
    const { clientWidth: width, clientHeight: height } = this.stage, { devicePixelRatio } = window;
    if (!this.scene) return undefined;
    if (!width || !height) return this.said(this.draws);
    if (String([width, height, devicePixelRatio]) === String([this.look.size, this.look.ratio])) return undefined;
    Object.assign(this.look, { size: [width, height], ratio: devicePixelRatio });
    [this.canvas.width, this.canvas.height] = this.look.size.map((one) => Math.round(one * devicePixelRatio));
    this.aim();
    return this.draw(); // at once: a canvas of a new size is empty
  }

  // Aim anew where the view goes by what is there, not by what its reader has chosen.
  aim() {
    this.scale.style.top = `${this.tools.offsetHeight + 18}px`;
    if (!this.view || this.view.kind) this.go(this.view?.kind || "home");
    else if (String(this.view.size) !== String(this.look.size)) this.stretch(this.look.size);
  }

  // The lens of a view that its reader has chosen, on a canvas of another size.
  stretch([width, height]) {
    const { lens, size } = this.view, scale = height / size[1];
    this.view.lens = { fx: scale * lens.fx, fy: scale * lens.fy, skew: scale * lens.skew,
      cx: (lens.cx * width) / size[0], cy: scale * lens.cy };
    this.view.size = [width, height];
  }

  // The part of the canvas that nothing stands on.
  box() {
    const [width, height] = this.look.size, top = this.tools.offsetHeight + 20, right = this.scale.hidden ? 14 : 62;
    return { left: 14, top, width: Math.max(width - 14 - right, 40), height: Math.max(height - top - 44, 40) };
  }

  // Look at everything from a side that has a name.
  go(kind) {
    const box = this.box(), { camera, front, grid } = this.scene, { size } = this.look;
    if (kind === "camera" && camera) {
      const [low, high] = bounds(cloudsOf(this.scene, false), rotation(0, 0));
      const pivot = between(low, high);
      const lens = pictureLens(camera, box);
      this.view = { yaw: 0, pitch: 0, pivot, rel: [...pivot], lens, kind, size, isExact: true };
      return;
    }
    const ahead = front ? Math.atan2(front[0], -front[1]) : 0, home = grid ? [0.8, 0.28] : [0.28, 0.08];
    const [yaw, pitch] = VIEWS[kind] ? [VIEWS[kind][0] + ahead, VIEWS[kind][1]] : home;
    const turn = rotation(yaw, pitch), clouds = cloudsOf(this.scene, kind === "home");
    const middle = between(...bounds(clouds, turn)), focal = 1.8 * size[1];
    let distance = 0.1;
    for (const cloud of clouds)
      for (let i = 0; i < cloud.length; i += 3) {
        const [x, y, z] = minus(times(turn, [cloud[i], cloud[i + 1], cloud[i + 2]]), middle);
        const needed = 2 * focal * Math.max(Math.abs(x) / box.width, Math.abs(y) / box.height) - z;
        if (needed > distance) distance = needed;
      }
    const lens = { fx: focal, fy: focal, skew: 0, cx: box.left + box.width / 2, cy: box.top + box.height / 2 };
    this.view = { yaw, pitch, pivot: back(turn, middle), rel: [0, 0, distance], lens, kind, size, isExact: false };
  }

  turn(right, down) {
    this.view.yaw -= right;
    this.view.pitch = Math.max(-Math.PI / 2, Math.min(Math.PI / 2, this.view.pitch + down));
    this.changed({ isExact: false });
  }

  pan(right, down) {
    const { lens, rel, pivot, yaw, pitch, isExact } = this.view;
    const way = [(right * rel[2]) / lens.fx, (down * rel[2]) / lens.fy, 0];
    if (isExact) this.view.lens = { ...lens, cx: lens.cx + right, cy: lens.cy + down };
    else this.view.pivot = minus(pivot, back(rotation(yaw, pitch), way));
    this.changed({});
  }

  // Come nearer (below 1) to what lies at a place of the canvas, which stays there.
  zoom(share, x, y) {
    const { lens, rel, pivot, yaw, pitch, isExact } = this.view, [width, height] = this.look.size;
    const [u, v] = x === undefined ? [width / 2, height / 2] : [x, y];
    if (isExact) {
      const more = Math.max(0.2, Math.min(1 / share, 2e6 / lens.fx));
      this.view.lens = { fx: more * lens.fx, fy: more * lens.fy, skew: more * lens.skew,
        cx: u + more * (lens.cx - u), cy: v + more * (lens.cy - v) };
    } else if ((share > 1 && rel[2] < 40 * this.radius) || (share < 1 && rel[2] > 0.03)) {
      const down = (v - lens.cy) / lens.fy, depth = this.pick(u, v)?.depth || rel[2];
      const at = [depth * ((u - lens.cx - lens.skew * down) / lens.fx), depth * down, depth];
      const way = back(rotation(yaw, pitch), minus(at, rel));
      this.view.pivot = pivot.map((one, axis) => one + (1 - share) * way[axis]);
      this.view.rel = rel.map((one) => share * one);
    }
    this.changed({});
  }

  changed(values) {
    Object.assign(this.view, { kind: null, size: this.look.size }, values);
    this.later();
  }

  act(name) {
    if (name === "png") this.save();
    else if (name === "full") this.root.fullscreenElement ? document.exitFullscreen() : this.stage.requestFullscreen();
    else if (name) {
      this.go(name);
      this.later();
    }
  }

  // ------------------------------------------------------------------------------------------------------- input

  place(event) {
    const box = this.canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  pressed(event) {
    this.canvas.focus({ preventScroll: true });
    this.canvas.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, this.place(event));
    this.isPan = event.button > 0 || event.shiftKey;
    this.tell(null);
    event.preventDefault();
  }

  moved(event) {
    const now = this.place(event), before = this.pointers.get(event.pointerId);
    if (!before) {
      this.pointer = now;
      return this.later(true);
    }
    const other = [...this.pointers].find(([id]) => id !== event.pointerId)?.[1];
    const [right, down] = minus(now, before);
    this.pointers.set(event.pointerId, now);
    if (other) {
      this.pan(right / 2, down / 2);
      const share = Math.hypot(...minus(before, other)) / Math.max(Math.hypot(...minus(now, other)), 1);
      return this.zoom(share, (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
    }
    return this.isPan ? this.pan(right, down) : this.turn(right / 150, down / 150);
  }

  wheeled(event) {
    if (!this.root.activeElement && !event.ctrlKey && !event.metaKey) return; // the page scrolls
    event.preventDefault();
    const lines = event.deltaMode ? 30 : 1, most = (one) => Math.max(-60, Math.min(60, one));
    this.zoom(Math.exp(most(event.deltaY * lines) * (event.ctrlKey ? 0.008 : 0.003)), ...this.place(event));
  }

  typed(event) {
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (way) event.shiftKey ? this.pan(24 * way[0], 24 * way[1]) : this.turn(0.15 * way[0], 0.15 * way[1]);
    else if ("+=".includes(event.key)) this.zoom(0.85);
    else if ("-_".includes(event.key)) this.zoom(1 / 0.85);
    else if (event.key === "0") this.act("home");
    else if (event.key === "Escape") this.canvas.blur(); // the page has the wheel again
    else return;
    event.preventDefault();
  }

  // ------------------------------------------------------------------------------------------- what lies where

  // Where points are seen in the present view.
  seenAt(points) {
    this.memory ||= new Map();
    if (!this.memory.has(points)) this.memory.set(points, project(this.view, points));
    return this.memory.get(points);
  }

  // The nearest surface at a place: {person, vertex, depth}; a ghost only where there is nothing else.
  pick(x, y) {
    let best = null;
    this.scene.people.forEach((person, number) => {
      if (!person.vertices || this.hidden.has(number)) return;
      const hit = hitOf(this.seenAt(person.vertices), person.triangles, x, y);
      if (!hit) return;
      const isAlike = best?.person.isGhost === person.isGhost;
      if (!best || (isAlike ? hit.depth < best.depth : best.person.isGhost)) best = { person, ...hit };
    });
    return best;
  }

  joint(x, y, surface) {
    let best = null, nearest = REACH;
    this.scene.people.forEach((person, number) => {
      if (!person.joints || this.hidden.has(number)) return;
      const places = this.seenAt(person.joints);
      for (let i = 0; i < places.length; i += 3) {
        const distance = Math.hypot(places[i] - x, places[i + 1] - y);
        const isBehind = surface && !surface.person.isClear && places[i + 2] > surface.depth + 0.005;
        if (distance < nearest && !isBehind) [best, nearest] = [{ person, joint: i / 3 }, distance];
      }
    });
    return best;
  }

  hover() {
    if (!this.pointer || this.pointers.size) return;
    const [x, y] = this.pointer, surface = this.pick(x, y), found = this.joint(x, y, surface) || surface;
    if (!found) return this.tell(null);
    const { person, joint, vertex } = found, isJoint = joint !== undefined;
    const [first, ...others] = this.scene.people, name = others.length ? [person.name] : [];
    const at = (isJoint ? person.joints : person.vertices).subarray(3 * (isJoint ? joint : vertex));
    const what = isJoint ? this.scene.joints[joint]
      : person.distances ? `${person.distances[vertex].toFixed(1)} mm` : `vertex ${vertex}`;
    const where = [..."xyz"].map((axis, i) => `${axis} ${at[i].toFixed(3)}`).join("  ");
    const place = person === first ? [`${where} m`] : []; // the others were moved onto it
    return this.tell([what, ...name, ...place], x, y);
  }

  tell(lines, x, y) {
    this.tip.hidden = !lines;
    if (!lines) {
      this.pointer = null;
      return;
    }
    const made = (textContent) => Object.assign(document.createElement("div"), { textContent });
    this.tip.replaceChildren(...lines.map(made));
    const [width, height] = this.look.size, { offsetWidth, offsetHeight } = this.tip;
    this.tip.style.left = `${Math.max(4, Math.min(x + 14, width - offsetWidth - 4))}px`;
    this.tip.style.top = `${y + 16 + offsetHeight > height ? y - offsetHeight - 8 : y + 16}px`;
  }

  // ----------------------------------------------------------------------------------------------------- drawing

  later(isHover = false) {
    this.isStale ||= !isHover;
    this.request ||= requestAnimationFrame(() => {
      this.request = 0;
      if (this.isStale) this.draw();
      this.hover();
    });
  }

  draw() {
    if (!this.view || !this.look.size || !this.stage.clientWidth || this.painter.gl.isContextLost()) return;
    [this.isStale, this.memory] = [false, null];
    const depth = seen(this.view, this.middle)[2], far = Math.max(depth + this.radius, 0.1);
    this.painter.draw(this.view, this.look, [Math.max(depth - this.radius, far / 2000), far], this.hidden);
    this.outline();
    kept.set(this.scene.key, { view: this.view, hidden: this.hidden });
    this.said(++this.draws);
  }

  // The edges of the picture while the eye is in its camera, and which button says what is seen.
  outline() {
    const { isExact, lens, kind } = this.view, { camera } = this.scene;
    this.frame.hidden = !isExact;
    if (isExact) {
      const scale = lens.fx / camera.K[0];
      const left = lens.cx - scale * (camera.K[2] + 0.5), top = lens.cy - scale * (camera.K[5] + 0.5);
      Object.assign(this.frame.style, { left: `${left}px`, top: `${top}px`, width: `${scale * camera.width}px`,
        height: `${scale * camera.height}px` });
    }
    const now = isExact ? "camera" : kind;
    for (const one of this.tools.children) one.classList.toggle("now", one.dataset.act === now);
  }

  // What those who wait for the page look for: it stands outside of the shadow.
  said(what) {
    this.root.host.dataset.drawn = what;
  }

  save() {
    this.draw(); // what was drawn before is gone from the buffer
    const sheet = document.createElement("canvas"), pen = sheet.getContext("2d"), { ratio, size, ink } = this.look;
    [sheet.width, sheet.height] = [this.canvas.width, this.canvas.height];
    pen.drawImage(this.canvas, 0, 0);
    pen.scale(ratio, ratio);
    const font = `13px ${getComputedStyle(this.stage).fontFamily}`;
    Object.assign(pen, { font, fillStyle: rgb(ink) });
    this.notes(pen, ...size);
    sheet.toBlob((blob) => {
      const link = document.createElement("a"), name = this.scene.key.replace(/[^\w.-]+/g, "_");
      Object.assign(link, { href: URL.createObjectURL(blob), download: `${name}.png` });
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    });
  }

  // Names and scale of colours, which are no part of the canvas, on the saved picture.
  notes(pen, width, height) {
    const { people, palette, limit } = this.scene, ink = pen.fillStyle;
    if (!this.scale.hidden) {
      const bar = pen.createLinearGradient(0, height - 60, 0, 60);
      palette.forEach((step, i) => bar.addColorStop(i / (palette.length - 1), `rgb(${step})`));
      pen.fillStyle = bar;
      pen.fillRect(width - 26, 60, 12, height - 120);
      Object.assign(pen, { fillStyle: ink, textAlign: "right" });
      pen.fillText(`\u2265 ${limit} mm`, width - 14, 50);
      pen.fillText("0", width - 14, height - 42);
    }
    pen.textAlign = "left";
    people.filter((_, number) => people.length > 1 && !this.hidden.has(number)).forEach((person, row) => {
      pen.fillStyle = person.distances ? `rgb(${palette[2]})` : rgb(person.colour);
      pen.fillRect(14, height - 24 - 20 * row, 12, 12);
      pen.fillStyle = ink;
      pen.fillText(person.name, 32, height - 14 - 20 * row);
    });
  }

  dispose() {
    this.observer?.disconnect();
    cancelAnimationFrame(this.request);
    if (this.painter.gl) this.painter.dispose();
    this.stage.replaceChildren();
  }
}

function same(a, b) {
  return a?.length === b.length && a.every((one, i) => one === b[i]);
}

const viewers = new WeakMap(); // by the shadow that each lives in: Streamlit calls at every change

export default function ({ data, parentElement }) {
  const viewer = viewers.get(parentElement) || new Viewer(parentElement);
  viewers.set(parentElement, viewer);
  const call = (viewer.call = {});
  viewer.take(data);
  return () => {
    if (viewer.call !== call) return; // one that was overtaken; the later one cleans up
    viewers.delete(parentElement);
    viewer.dispose();
  };
}
