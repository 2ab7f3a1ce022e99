// matmul for a few rows, such as the one of a decoder's step, which would leave tiles empty: LANES invocations share an output and read
// a row of W side by side, and each row of x has workgroups of its own. With one lane there is no barrier. Fragments as for matmul.wgsl.

override LANES: u32 = 16u;  // invocations of an output
override COLS: u32 = 4u;    // outputs of a workgroup
override WORKGROUP: u32 = 64u;

struct Params {
    rows: u32,   // M, or where a part of them ends
    inner: u32,  // K
    cols: u32,   // N
    tokens: u32, // rows that have positions of their own; 0 where there are none
    first: u32,  // the first row of a part
}

@group(0) @binding(0) var<uniform> params: Params;

var<workgroup> sums: array<f32, WORKGROUP>;  // [COLS, LANES]

@compute @workgroup_size(LANES, COLS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_id) local: vec3u) {
    let row = params.first + group.z;
    let col = (group.y * groups.x + group.x) * COLS + local.y;
    let w_row = min(col, params.cols - 1u);
    let inner4 = (params.inner + 3u) / 4u;
    var products = vec4f();
    for (var k4 = local.x; k4 < inner4; k4 += LANES) {
        products += input4(row, k4) * weight4(w_row, k4);
    }
    var sum = products.x + products.y + products.z + products.w;
    if LANES > 1u {
        let start = local.y * LANES;
        sums[start + local.x] = sum;
        workgroupBarrier();
        sum = 0.0;
        for (var i = 0u; i < LANES; i++) {
            sum += sums[start + i];
        }
    }
    if local.x == 0u {
        store(row, col, sum);
    }
}
