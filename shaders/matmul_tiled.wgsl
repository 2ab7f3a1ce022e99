// matmul for GPUs: a workgroup keeps tiles of x and W in its memory, each invocation keeps ROWS × COLS outputs in registers.
// Outputs of an invocation lie WORKGROUP rows and columns apart, so that neighbours read and write neighbours. SLICES invocations
// share the sums of an output: each takes other numbers along K. Joined to one lib/element_* (f32 or f16; sums are f32 in both), one
// lib/tile_*, and the fragments of matmul.wgsl.

const TURN: u32 = DEPTH * SLICES;                  // vectors along K in a tile
const PLACES: u32 = WORKGROUP * WORKGROUP;         // invocations of a slice
const PAD: u32 = 8u / TURN;                        // so that what neighbours put into a tile lies in different banks
const X_STRIDE: u32 = ROWS * WORKGROUP + PAD;
const W_STRIDE: u32 = COLS * WORKGROUP + PAD;

struct Params {
    rows: u32,   // M, or where a part of them ends
    inner: u32,  // K
    cols: u32,   // N
    tokens: u32, // rows that have positions of their own; 0 where there are none
    first: u32,  // the first row of a part
}

@group(0) @binding(0) var<uniform> params: Params;

var<workgroup> x_tile: array<Element4, TURN * X_STRIDE>;         // [TURN, rows of the tile, and PAD]
var<workgroup> w_tile: array<Element4, TURN * W_STRIDE>;         // [TURN, columns of the tile, and PAD]
var<workgroup> partial: array<f32, COLS * SLICES * PLACES>;      // [COLS, SLICES, PLACES], of a row of each invocation's outputs

@compute @workgroup_size(WORKGROUP, WORKGROUP, SLICES)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) local: vec3u, @builtin(local_invocation_index) lane: u32) {
    let first_row = params.first + group.y * ROWS * WORKGROUP;
    let first_col = group.x * COLS * WORKGROUP;
    let inner4 = (params.inner + 3u) / 4u;
    var sums: array<f32, ROWS * COLS>;
    for (var start = 0u; start < inner4; start += TURN) {
        workgroupBarrier();  // the last tiles have been read
        for (var at = lane; at < TURN * ROWS * WORKGROUP; at += PLACES * SLICES) {
            let k4 = start + at % TURN;
            var value = vec4f();
            if k4 < inner4 {
                value = input4(min(first_row + at / TURN, params.rows - 1u), k4);
            }
            x_tile[at % TURN * X_STRIDE + at / TURN] = Element4(value);
        }
        for (var at = lane; at < TURN * COLS * WORKGROUP; at += PLACES * SLICES) {
            let k4 = start + at % TURN;
            var value = vec4f();
            if k4 < inner4 {
                value = weight4(min(first_col + at / TURN, params.cols - 1u), k4);
            }
            w_tile[at % TURN * W_STRIDE + at / TURN] = Element4(value);
        }
        workgroupBarrier();
        for (var depth = 0u; depth < DEPTH; depth++) {
            let k = local.z * DEPTH + depth;
            var w = array<Element4, COLS>();
            for (var c = 0u; c < COLS; c++) {
                w[c] = w_tile[k * W_STRIDE + c * WORKGROUP + local.x];
            }
            for (var r = 0u; r < ROWS; r++) {
                let value = x_tile[k * X_STRIDE + r * WORKGROUP + local.y];
                for (var c = 0u; c < COLS; c++) {
                    sums[r * COLS + c] = multiplied(sums[r * COLS + c], value, w[c]);
                }
            }
        }
    }
    for (var r = 0u; r < ROWS; r++) {
        let row = first_row + r * WORKGROUP + local.y;
        if SLICES == 1u {
            for (var c = 0u; c < COLS; c++) {
                store(row, first_col + c * WORKGROUP + local.x, sums[r * COLS + c]);
            }
        } else {
            workgroupBarrier();  // the last row has been read
            for (var c = 0u; c < COLS; c++) {
                partial[c * SLICES * PLACES + lane] = sums[r * COLS + c];
            }
            workgroupBarrier();
            // Each slice ends with some of the columns.
            for (var c = local.z; c < COLS; c += SLICES) {
                var sum = 0.0;
                for (var slice = 0u; slice < SLICES; slice++) {
                    sum += partial[(c * SLICES + slice) * PLACES + lane % PLACES];
                }
                store(row, first_col + c * WORKGROUP + local.x, sum);
            }
        }
    }
}
