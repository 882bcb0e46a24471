// Scenes as Python packs them (packing.py), and the geometry of looking at them.
//
// Space is that of the picture's camera: x right, y down, z forward, metres. A view turns by yaw about y, then by pitch
// about x, around a pivot, which lies at `rel` before the viewer: a point p is seen at R (p - pivot) + rel. Its lens
// {fx, fy, skew, cx, cy} is in CSS pixels of the canvas.

const ARRAYS = { f4: Float32Array, u2: Uint16Array, u4: Uint32Array };

export function readScene(bytes) {
  const data = bytes.slice(); // what arrives is a window at any offset; arrays need one that is a multiple of four
  const start = 4 + new DataView(data.buffer).getUint32(0, true);
  const scene = JSON.parse(new TextDecoder().decode(data.subarray(4, start)));
  for (const person of scene.people)
    for (const name of ["vertices", "triangles", "distances", "joints"]) {
      const [kind, offset, size] = person[name] || [];
      if (kind) person[name] = new ARRAYS[kind](data.buffer, start + offset, size);
    }
  scene.joints = scene.joints.map((name) => name.replaceAll("_", " "));
  if (scene.camera?.frustum) scene.grid = gridOf(scene);
  return scene;
}

// The sums of the normals of the triangles around each vertex, as long as twice their areas.
export function normalsOf(p, triangles) {
  const sums = new Float32Array(p.length);
  for (let t = 0; t < triangles.length; t += 3) {
    const a = 3 * triangles[t], b = 3 * triangles[t + 1], c = 3 * triangles[t + 2];
    const ux = p[b] - p[a], uy = p[b + 1] - p[a + 1], uz = p[b + 2] - p[a + 2];
    const vx = p[c] - p[a], vy = p[c + 1] - p[a + 1], vz = p[c + 2] - p[a + 2];
    const x = uy * vz - uz * vy, y = uz * vx - ux * vz, z = ux * vy - uy * vx;
    for (const corner of [a, b, c]) {
      sums[corner] += x;
      sums[corner + 1] += y;
      sums[corner + 2] += z;
    }
  }
  return sums;
}

export function cloudsOf(scene, hasFrustum) {
  const clouds = scene.people.map((person) => person.vertices || person.joints || []);
  return hasFrustum && scene.camera?.frustum ? [...clouds, scene.camera.frustum] : clouds;
}

// Lowest and highest coordinates of points as they are seen after a turn.
export function bounds(clouds, turn) {
  const low = [Infinity, Infinity, Infinity], high = [-Infinity, -Infinity, -Infinity];
  for (const cloud of clouds)
    for (let i = 0; i < cloud.length; i += 3)
      for (let axis = 0; axis < 3; axis++) {
        const value = turn[3 * axis] * cloud[i] + turn[3 * axis + 1] * cloud[i + 1] + turn[3 * axis + 2] * cloud[i + 2];
        if (value < low[axis]) low[axis] = value;
        if (value > high[axis]) high[axis] = value;
      }
  return Number.isFinite(low[0]) ? [low, high] : [[-1, -1, 1], [1, 1, 3]];
}

// Lines of a level grid below the people and the camera, [from, to] in turn, and how far they are apart (m).
function gridOf(scene) {
  const [low, high] = bounds(cloudsOf(scene, true), rotation(0, 0));
  const [, below] = bounds(cloudsOf(scene, false), rotation(0, 0));
  const reach = Math.max(high[0] - low[0], high[2] - low[2]);
  const step = [0.25, 0.5, 1, 2, 5, 10, 20, 50].find((one) => reach / one < 14) || 100;
  const from = low.map((one) => step * Math.floor(one / step)), to = high.map((one) => step * Math.ceil(one / step));
  const lines = [];
  for (let x = from[0]; x <= to[0] + step / 2; x += step) lines.push(x, below[1], from[2], x, below[1], to[2]);
  for (let z = from[2]; z <= to[2] + step / 2; z += step) lines.push(from[0], below[1], z, to[0], below[1], z);
  return { lines, step };
}

export function rotation(yaw, pitch) {
  const c = Math.cos(yaw), s = Math.sin(yaw), d = Math.cos(pitch), t = Math.sin(pitch);
  return [c, 0, s, t * s, d, -t * c, -d * s, t, d * c];
}

export const times = (m, v) => [0, 3, 6].map((i) => m[i] * v[0] + m[i + 1] * v[1] + m[i + 2] * v[2]);
export const back = (m, v) => [0, 1, 2].map((i) => m[i] * v[0] + m[i + 3] * v[1] + m[i + 6] * v[2]);
export const minus = (a, b) => a.map((one, i) => one - b[i]);
export const between = (a, b) => a.map((one, i) => (one + b[i]) / 2);

export function seen(view, point) {
  const [x, y, z] = times(rotation(view.yaw, view.pitch), minus(point, view.pivot));
  return [x + view.rel[0], y + view.rel[1], z + view.rel[2]];
}

// Clip space of WebGL, column by column, for points as they are seen.
export function clipMatrix({ fx, fy, skew, cx, cy }, width, height, near, far) {
  const a = (far + near) / (far - near), b = (-2 * far * near) / (far - near);
  return [(2 * fx) / width, 0, 0, 0, (2 * skew) / width, (-2 * fy) / height, 0, 0,
    (2 * cx) / width - 1, 1 - (2 * cy) / height, a, 1, 0, 0, b, 0];
}

// The lens that lays a camera's picture into a box {left, top, width, height} of the canvas, as large as it fits.
export function pictureLens(camera, box) {
  const { K, width, height } = camera, scale = Math.min(box.width / width, box.height / height);
  const left = box.left + (box.width - scale * width) / 2, top = box.top + (box.height - scale * height) / 2;
  return { fx: scale * K[0], fy: scale * K[4], skew: scale * K[1],
    cx: left + scale * (K[2] + 0.5), cy: top + scale * (K[5] + 0.5) };
}

// Where points are seen: x, y (px of the canvas) and depth (m) of each.
export function project({ yaw, pitch, pivot, rel, lens }, points) {
  const m = rotation(yaw, pitch), found = new Float32Array(points.length);
  for (let i = 0; i < points.length; i += 3) {
    const a = points[i] - pivot[0], b = points[i + 1] - pivot[1], c = points[i + 2] - pivot[2];
    const x = m[0] * a + m[1] * b + m[2] * c + rel[0], y = m[3] * a + m[4] * b + m[5] * c + rel[1];
    const z = m[6] * a + m[7] * b + m[8] * c + rel[2];
    found[i] = (lens.fx * x + lens.skew * y) / z + lens.cx;
    found[i + 1] = (lens.fy * y) / z + lens.cy;
    found[i + 2] = z > 0 ? z : NaN; // behind the viewer
  }
  return found;
}

// The nearest of the triangles that cover a place: its corner that is seen nearest to it, and the depth there.
export function hitOf(places, triangles, x, y) {
  let best = null;
  for (let t = 0; t < triangles.length; t += 3) {
    const a = 3 * triangles[t], b = 3 * triangles[t + 1], c = 3 * triangles[t + 2];
    const ax = places[a] - x, ay = places[a + 1] - y, bx = places[b] - x, by = places[b + 1] - y;
    const cx = places[c] - x, cy = places[c + 1] - y;
    const u = bx * cy - by * cx, v = cx * ay - cy * ax, w = ax * by - ay * bx;
    if (!((u >= 0 && v >= 0 && w >= 0) || (u <= 0 && v <= 0 && w <= 0)) || u + v + w === 0) continue;
    const depth = (u + v + w) / (u / places[a + 2] + v / places[b + 2] + w / places[c + 2]); // 1 / depth is linear
    if (!(depth > 0) || (best && depth >= best.depth)) continue;
    const far = [ax * ax + ay * ay, bx * bx + by * by, cx * cx + cy * cy];
    best = { depth, vertex: [a, b, c][far.indexOf(Math.min(...far))] / 3 };
  }
  return best;
}
