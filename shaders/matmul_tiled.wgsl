// matmul for GPUs: a workgroup keeps tiles of x and W in its memory, each invocation keeps ROWS × COLS outputs in registers.
// Outputs of an invocation lie WORKGROUP rows and columns apart, so that neighbours read and write neighbours. Joined to one
// lib/element_* (f32 or f16; sums are f32 in both), one lib/tile_*, and the fragments of matmul.wgsl.

const DEPTH: u32 = 4u;  // vectors along K in a tile

struct Params {
    rows: u32,   // M, or where a part of them ends
    inner: u32,  // K
    cols: u32,   // N
    tokens: u32, // rows that have positions of their own; 0 where there are none
    first: u32,  // the first row of a part
}

@group(0) @binding(0) var<uniform> params: Params;

var<workgroup> x_tile: array<Element4, DEPTH * ROWS * WORKGROUP>;  // [DEPTH, rows of the tile]
var<workgroup> w_tile: array<Element4, DEPTH * COLS * WORKGROUP>;  // [DEPTH, columns of the tile]

@compute @workgroup_size(WORKGROUP, WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) local: vec3u, @builtin(local_invocation_index) lane: u32) {
    let tile_rows = ROWS * WORKGROUP;
    let tile_cols = COLS * WORKGROUP;
    let first_row = params.first + group.y * tile_rows;
    let first_col = group.x * tile_cols;
    let inner4 = (params.inner + 3u) / 4u;
    var sums: array<f32, ROWS * COLS>;
    for (var start = 0u; start < inner4; start += DEPTH) {
        workgroupBarrier();  // the last tiles have been read
        for (var at = lane; at < DEPTH * tile_rows; at += WORKGROUP * WORKGROUP) {
            let k4 = start + at % DEPTH;
            var value = vec4f();
            if k4 < inner4 {
                value = input4(min(first_row + at / DEPTH, params.rows - 1u), k4);
            }
            x_tile[at % DEPTH * tile_rows + at / DEPTH] = Element4(value);
        }
        for (var at = lane; at < DEPTH * tile_cols; at += WORKGROUP * WORKGROUP) {
            let k4 = start + at % DEPTH;
            var value = vec4f();
            if k4 < inner4 {
                value = weight4(min(first_col + at / DEPTH, params.cols - 1u), k4);
            }
            w_tile[at % DEPTH * tile_cols + at / DEPTH] = Element4(value);
        }
        workgroupBarrier();
        for (var k = 0u; k < DEPTH; k++) {
            var w = array<Element4, COLS>();
            for (var c = 0u; c < COLS; c++) {
                w[c] = w_tile[k * tile_cols + c * WORKGROUP + local.x];
            }
            for (var r = 0u; r < ROWS; r++) {
                let value = x_tile[k * tile_rows + r * WORKGROUP + local.y];
                for (var c = 0u; c < COLS; c++) {
                    sums[r * COLS + c] += f32(dot(value, w[c]));
                }
            }
        }
    }
    for (var r = 0u; r < ROWS; r++) {
        for (var c = 0u; c < COLS; c++) {
            store(first_row + r * WORKGROUP + local.y, first_col + c * WORKGROUP + local.x, sums[r * COLS + c]);
        }
    }
}
