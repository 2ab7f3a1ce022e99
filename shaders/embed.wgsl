// y[r, :] = W[ids[r] - first, :] · scale where W has that row; pictures[ids[r] - 2³¹, :] where the top bit is set, if HAS_PICTURES
// All other rows of y stay as they are. Four numbers an invocation. Joined to one lib/weight_*.

override HAS_PICTURES: bool = false;

const PICTURE: u32 = 0x80000000u;

struct Params {
    rows: u32,
    inner: u32,  // floats of a row
    first: u32,  // the id of W's first row
    count: u32,  // rows of W
    scale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> ids: array<u32>;       // [rows]
@group(0) @binding(2) var<storage, read> pictures: array<f32>;  // [pictures' rows, inner]
@group(0) @binding(3) var<storage, read_write> y: array<f32>;   // [rows, inner]
// group 1: weight4(), from lib/weight_*

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let at = id.y * groups.x * 64u + id.x;
    let inner4 = (params.inner + 3u) / 4u;
    let row = at / inner4;
    if row >= params.rows {
        return;
    }
    let k4 = at % inner4;
    let own = ids[row];
    // An id below the first wraps to one beyond the last.
    let source = own - params.first;
    let picture = (own & PICTURE) != 0u;
    var value = vec4f();
    if picture {
        if !HAS_PICTURES {
            return;
        }
    } else if source < params.count {
        value = weight4(source, k4) * params.scale;
    } else {
        return;
    }
    let left = min(4u, params.inner - k4 * 4u);
    for (var c = 0u; c < left; c++) {
        if picture {
            value[c] = pictures[(own & ~PICTURE) * params.inner + k4 * 4u + c];
        }
        y[row * params.inner + k4 * 4u + c] = value[c];
    }
}
