// Drawing a scene with WebGL2.

import { clipMatrix, normalsOf, rotation, between } from "./scene.js";

// How much of what lies behind a body it covers seen straight on, and how this rises towards its edge. A shell leaves
// the colours of a painted body behind it as they are, but for a line along its own edge.
const SOLID = [1, 1], CLEAR = [0.42, 2.5], SHELL = [0.25, 1.4], LINE = [0, 5];
const CAMERA_INK = [0.54, 0.58, 0.64];
const FRUSTUM = [0, 1, 0, 2, 0, 3, 0, 4, 1, 2, 2, 3, 3, 4, 4, 1];

const HEAD = "#version 300 es\nprecision highp float; uniform mat3 turn; uniform vec3 pivot, rel; uniform mat4 lens;"
  + "vec3 seen(vec3 place) { return turn * (place - pivot) + rel; }\n";

const SHADERS = {
  mesh: [`in vec3 place, normal; in float apart; out vec3 at, side; out float share;
    void main() {
      at = seen(place); side = turn * normal; share = apart;
      gl_Position = lens * vec4(at, 1);
    }`, `in vec3 at, side; in float share; out vec4 result;
    uniform vec3 colour, palette[5]; uniform float limit, cover, rise;
    void main() {
      vec3 n = normalize(side), eye = normalize(-at);
      if (dot(n, eye) < 0.0) n = -n;
      float head = dot(n, eye), key = max(dot(n, normalize(vec3(-0.45, -0.7, -0.6))), 0.0), sky = 0.5 - 0.5 * n.y;
      float grade = clamp(share / max(limit, 1e-6), 0.0, 1.0) * 4.0;
      int low = min(int(grade), 3);
      vec3 paint = limit > 0.0 ? mix(palette[low], palette[low + 1], grade - float(low)) : colour;
      float light = limit > 0.0 ? 0.55 + 0.3 * head + 0.14 * key + 0.08 * sky
        : 0.24 + 0.44 * head + 0.3 * key + 0.16 * sky;
      float alpha = cover < 1.0 ? mix(cover, 0.9, pow(1.0 - head, rise)) : 1.0;
      result = vec4(min(paint * light, 1.0) * alpha, alpha);
    }`],
  line: [`in vec2 corner; in vec3 from, to; uniform vec2 size; uniform float width, near;
    void main() {
      vec3 a = seen(from), b = seen(to);
      if (a.z < near && b.z >= near) a = mix(b, a, (b.z - near) / (b.z - a.z));
      if (b.z < near && a.z >= near) b = mix(a, b, (a.z - near) / (a.z - b.z));
      vec4 p = lens * vec4(a, 1), q = lens * vec4(b, 1);
      vec2 along = (q.xy / q.w - p.xy / p.w) * size;
      along = length(along) > 0.0 ? normalize(along) : vec2(1, 0);
      gl_Position = corner.x < 0.5 ? p : q;
      gl_Position.xy += corner.y * width * vec2(-along.y, along.x) / size * gl_Position.w;
    }`, `uniform vec4 ink; out vec4 result; void main() { result = vec4(ink.rgb * ink.a, ink.a); }`],
  point: [`in vec3 place; uniform float width;
    void main() { gl_Position = lens * vec4(seen(place), 1); gl_PointSize = width; }`,
    `uniform vec4 ink; uniform vec3 rim; uniform float width; out vec4 result;
    void main() {
      float r = length(gl_PointCoord - 0.5) * width, alpha = clamp(width / 2.0 - r, 0.0, 1.0);
      if (alpha < 0.05) discard;
      result = vec4(mix(ink.rgb, rim, clamp(r - 0.3 * width, 0.0, 1.0)) * alpha, alpha);
    }`],
};

export class Painter {
  constructor(canvas) {
    this.gl = canvas.getContext("webgl2", { antialias: true, alpha: false, stencil: true });
  }

  // Send a scene to the graphics card; again after its context was lost.
  load(scene) {
    this.free();
    this.programs = {};
    this.held = [];
    this.palette = scene.palette.flat().map((one) => one / 255);
    this.people = scene.people.map((person) => this.person(person, scene));
    this.grid = scene.grid && this.lines(new Float32Array(scene.grid.lines));
    this.frustum = scene.grid && this.lines(pairs(scene.camera.frustum, FRUSTUM));
  }

  person(person, scene) {
    const made = { ...person, mesh: null, joints: [] };
    const { vertices, triangles, distances, joints } = person;
    if (vertices) {
      made.mesh = this.bind("mesh", { place: [vertices, 3], normal: [normalsOf(vertices, triangles), 3],
        apart: distances && [distances, 1] }, triangles);
      made.limit = distances ? scene.limit : 0;
    }
    if (joints)
      made.joints = [[0, scene.coarse, 3, 8], [scene.coarse, Infinity, 1.8, 5]].map(([from, to, width, size]) => ({
        limbs: this.lines(pairs(joints, scene.limbs.filter(([, end]) => from <= end && end < to).flat())),
        points: this.bind("point", { place: [finite(joints.subarray(3 * from, 3 * to)), 3] }), width, size,
      }));
    return made;
  }

  lines(ends) {
    return this.bind("line", { from: [ends, 3, 0], to: [ends, 3, 1] });
  }

  program(name) {
    if (this.programs[name]) return this.programs[name];
    const { gl } = this, program = gl.createProgram();
    SHADERS[name].forEach((source, i) => {
      const shader = gl.createShader(i ? gl.FRAGMENT_SHADER : gl.VERTEX_SHADER);
      gl.shaderSource(shader, (i ? HEAD.split(" uniform")[0] : HEAD) + source);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    });
    gl.linkProgram(program);
    if (!gl.getProgramParameter(program, gl.LINK_STATUS) && !gl.isContextLost())
      throw new Error(`the shader ${name} does not link: ${gl.getProgramInfoLog(program)}`);
    const places = {};
    for (let i = gl.getProgramParameter(program, gl.ACTIVE_UNIFORMS) - 1; i >= 0; i--) {
      const { name: uniform } = gl.getActiveUniform(program, i);
      places[uniform.replace("[0]", "")] = gl.getUniformLocation(program, uniform);
    }
    return (this.programs[name] = { program, places });
  }

  // Arrays {name: [values, size, part]} for a program; lines take two points of each row, once per instance.
  bind(name, arrays, indices) {
    const { gl } = this, { program } = this.program(name), vao = gl.createVertexArray();
    gl.bindVertexArray(vao);
    this.held.push(["deleteVertexArray", vao]);
    const buffers = new Map();
    for (const [attribute, array] of Object.entries(arrays)) {
      const place = gl.getAttribLocation(program, attribute);
      if (!array || place < 0) continue;
      const [values, size, part] = array, isLine = part !== undefined;
      if (buffers.has(values)) gl.bindBuffer(gl.ARRAY_BUFFER, buffers.get(values));
      else buffers.set(values, this.buffer(gl.ARRAY_BUFFER, values));
      gl.enableVertexAttribArray(place);
      gl.vertexAttribPointer(place, size, gl.FLOAT, false, isLine ? 24 : 0, isLine ? 12 * part : 0);
      if (isLine) gl.vertexAttribDivisor(place, 1);
    }
    if (name === "line") {
      const corner = gl.getAttribLocation(program, "corner");
      this.buffer(gl.ARRAY_BUFFER, new Float32Array([0, -1, 0, 1, 1, -1, 1, 1]));
      gl.enableVertexAttribArray(corner);
      gl.vertexAttribPointer(corner, 2, gl.FLOAT, false, 0, 0);
    }
    if (indices) this.buffer(gl.ELEMENT_ARRAY_BUFFER, indices);
    const type = indices instanceof Uint32Array ? gl.UNSIGNED_INT : gl.UNSIGNED_SHORT;
    const values = Object.values(arrays)[0][0];
    return { name, vao, type, count: indices ? indices.length : values.length / (name === "line" ? 6 : 3) };
  }

  buffer(target, values) {
    const made = this.gl.createBuffer();
    this.gl.bindBuffer(target, made);
    this.gl.bufferData(target, values, this.gl.STATIC_DRAW);
    this.held.push(["deleteBuffer", made]);
    return made;
  }

  free() {
    for (const [how, what] of this.held || []) this.gl[how](what);
    for (const { program } of Object.values(this.programs || {})) this.gl.deleteProgram(program);
    this.held = [];
  }

  // Draw a view; `look` is {size, ratio, ground, ink} of the canvas, `hidden` the numbers of people left out.
  draw(view, look, range, hidden) {
    const { gl } = this, [width, height] = look.size;
    gl.viewport(0, 0, gl.drawingBufferWidth, gl.drawingBufferHeight);
    gl.clearColor(...look.ground, 1);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT | gl.STENCIL_BUFFER_BIT);
    gl.enable(gl.DEPTH_TEST);
    gl.enable(gl.BLEND);
    gl.enable(gl.STENCIL_TEST); // 1 where a painted body is seen
    gl.depthFunc(gl.LEQUAL);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    this.common = { turn: columns(rotation(view.yaw, view.pitch)), pivot: view.pivot, rel: view.rel, near: range[0],
      lens: clipMatrix(view.lens, width, height, ...range), size: [width * look.ratio, height * look.ratio],
      palette: this.palette, rim: look.ground };
    const visible = this.people.filter((_, number) => !hidden.has(number)), hasPainted = visible.some(isPainted);
    const people = visible.map((person) => ({ ...person, isGhost: person.isGhost && hasPainted }));
    gl.depthMask(false);
    if (this.grid) this.paint(this.grid, { ink: [...look.ink, 0.13], width: look.ratio });
    gl.depthMask(true);
    this.solids(people, look);
    people.filter(isClear).forEach((person, number) => {
      if (number) this.again(() => this.solids(people, look)); // the one before must not hide this one
      this.unseen(() => this.mesh(person, CLEAR));
      if (person.isGhost) {
        this.mesh(person, SHELL, [gl.EQUAL, 0]);
        this.mesh(person, LINE, [gl.EQUAL, 1]);
      } else this.mesh(person, CLEAR);
    });
  }

  // Everything that nothing is seen through.
  solids(people, look) {
    if (this.frustum) this.paint(this.frustum, { ink: [...CAMERA_INK, 1], width: 2 * look.ratio });
    for (const person of people) {
      if (person.mesh && !isClear(person)) this.mesh(person, SOLID);
      for (const { limbs, points, width, size } of person.joints) {
        this.paint(limbs, { ink: [...person.ink, 1], width: width * look.ratio });
        this.paint(points, { ink: [...person.ink, 1], width: size * look.ratio });
      }
    }
  }

  mesh({ mesh, colour, ink, limit, isGhost, distances }, [cover, rise], where = [this.gl.ALWAYS, distances ? 1 : 0]) {
    this.gl.stencilFunc(...where, 1);
    this.gl.stencilOp(this.gl.KEEP, this.gl.KEEP, distances ? this.gl.REPLACE : this.gl.KEEP);
    this.paint(mesh, { colour: isGhost ? between(colour, ink) : colour, limit, cover, rise });
    this.gl.stencilFunc(this.gl.ALWAYS, 0, 1);
    this.gl.stencilOp(this.gl.KEEP, this.gl.KEEP, this.gl.KEEP);
  }

  again(act) {
    this.gl.clear(this.gl.DEPTH_BUFFER_BIT);
    this.unseen(act);
  }

  // Depths only, so that of a body just the nearest surface is drawn afterwards.
  unseen(act) {
    this.gl.colorMask(false, false, false, false);
    act();
    this.gl.colorMask(true, true, true, true);
  }

  paint({ name, vao, type, count }, values) {
    const { gl } = this, { program, places } = this.program(name), all = { ...this.common, ...values };
    gl.useProgram(program);
    gl.bindVertexArray(vao);
    for (const [uniform, place] of Object.entries(places)) {
      const value = [all[uniform]].flat();
      if (uniform === "turn") gl.uniformMatrix3fv(place, false, value);
      else if (uniform === "lens") gl.uniformMatrix4fv(place, false, value);
      else if (uniform === "palette") gl.uniform3fv(place, value);
      else gl[`uniform${value.length}fv`](place, value);
    }
    if (name === "line") gl.drawArraysInstanced(gl.TRIANGLE_STRIP, 0, 4, count);
    else if (name === "point") gl.drawArrays(gl.POINTS, 0, count);
    else gl.drawElements(gl.TRIANGLES, count, type, 0);
  }

  dispose() {
    this.free();
    this.gl.getExtension("WEBGL_lose_context")?.loseContext(); // browsers allow 16 at a time
  }
}

const isClear = (person) => person.mesh && (person.isGhost || person.isClear);
export const isPainted = (person) => person.distances;
const columns = (m) => [m[0], m[3], m[6], m[1], m[4], m[7], m[2], m[5], m[8]];

function pairs(points, numbers) {
  const ends = [];
  for (let i = 0; i < numbers.length; i += 2) {
    const both = [0, 1].flatMap((n) => [0, 1, 2].map((axis) => points[3 * numbers[i + n] + axis]));
    if (both.every(Number.isFinite)) ends.push(...both);
  }
  return new Float32Array(ends);
}

function finite(points) {
  const found = [];
  for (let i = 0; i < points.length; i += 3) if (Number.isFinite(points[i])) found.push(...points.subarray(i, i + 3));
  return new Float32Array(found);
}
