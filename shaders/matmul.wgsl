// y[m, n] = activate(Σ_k x[m, k] · W[n, k] + bias[n])   (+ y[m, n] if ACCUMULATE)
// The plain variant: each invocation keeps a tile of 4 × 4 outputs in registers and needs no barrier. Joined to one
// lib/input_*, one lib/weight_*, lib/activation and lib/output. Tails are computed on the last row or column again and not stored.

struct Params {
    rows: u32,   // M, or where a part of them ends
    inner: u32,  // K
    cols: u32,   // N
    tokens: u32, // rows that have positions of their own; 0 where there are none
    first: u32,  // the first row of a part
}

@group(0) @binding(0) var<uniform> params: Params;
// binding 1: input4(), from lib/input_*; bindings 2 and 3: store(), from lib/output
// group 1: weight4(), from lib/weight_*

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let col = id.x * 4u;
    let row = params.first + id.y * 4u;
    if col >= params.cols || row >= params.rows {
        return;
    }
    let last_row = params.rows - 1u;
    let last_col = params.cols - 1u;
    let rows = min(vec4u(row, row + 1u, row + 2u, row + 3u), vec4u(last_row));
    let cols = min(vec4u(col, col + 1u, col + 2u, col + 3u), vec4u(last_col));
    // One vector of four columns for each row.
    var sum0 = vec4f();
    var sum1 = vec4f();
    var sum2 = vec4f();
    var sum3 = vec4f();
    let inner4 = (params.inner + 3u) / 4u;
    for (var k4 = 0u; k4 < inner4; k4++) {
        let w = mat4x4f(weight4(cols.x, k4), weight4(cols.y, k4), weight4(cols.z, k4), weight4(cols.w, k4));
        // vector * matrix: the dot product with each of its columns
        sum0 += input4(rows.x, k4) * w;
        sum1 += input4(rows.y, k4) * w;
        sum2 += input4(rows.z, k4) * w;
        sum3 += input4(rows.w, k4) * w;
    }
    for (var c = 0u; c < 4u; c++) {
        store(row, col + c, sum0[c]);
        store(row + 1u, col + c, sum1[c]);
        store(row + 2u, col + c, sum2[c]);
        store(row + 3u, col + c, sum3[c]);
    }
}
