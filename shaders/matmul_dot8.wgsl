// matmul with packed 8-bit dot products: x is quantised on its way into workgroup memory, in each row a block of 32 along K
// shares a scale; W has 8 bits or is widened to them. Sums of a block are exact integers, sums of blocks f32.
// Otherwise as matmul_tiled.wgsl; joined to one lib/words_* in place of lib/weight_*.

const WORDS: u32 = 8u;  // of four values each in a block of 32

struct Params {
    rows: u32,   // M, or where a part of them ends
    inner: u32,  // K
    cols: u32,   // N
    tokens: u32, // rows that have positions of their own; 0 where there are none
    first: u32,  // the first row of a part
}

@group(0) @binding(0) var<uniform> params: Params;

var<workgroup> x_tile: array<u32, WORDS * ROWS * WORKGROUP>;    // [WORDS, rows of the tile]
var<workgroup> x_scales: array<f32, ROWS * WORKGROUP>;          // of a block of 32
var<workgroup> w_tile: array<u32, WORDS * COLS * WORKGROUP>;    // [WORDS, columns of the tile]
var<workgroup> w_scales: array<vec2f, COLS * WORKGROUP>;        // of its two halves

@compute @workgroup_size(WORKGROUP, WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) local: vec3u, @builtin(local_invocation_index) lane: u32) {
    let tile_rows = ROWS * WORKGROUP;
    let tile_cols = COLS * WORKGROUP;
    let first_row = params.first + group.y * tile_rows;
    let first_col = group.x * tile_cols;
    let inner4 = (params.inner + 3u) / 4u;
    var sums: array<f32, ROWS * COLS>;
    for (var start = 0u; start < inner4; start += WORDS) {
        workgroupBarrier();  // the last tiles have been read
        let count = min(WORDS, inner4 - start);
        for (var at = lane; at < tile_rows; at += WORKGROUP * WORKGROUP) {
            let row = min(first_row + at, params.rows - 1u);
            var peak = 0.0;
            for (var k = 0u; k < count; k++) {
                let value = abs(input4(row, start + k));
                peak = max(peak, max(max(value.x, value.y), max(value.z, value.w)));
            }
            let steps = select(0.0, 127.0 / peak, peak > 1.0e-30);
            for (var k = 0u; k < WORDS; k++) {
                var word = 0u;
                if k < count {
                    word = pack4xI8(vec4i(round(input4(row, start + k) * steps)));
                }
                x_tile[k * tile_rows + at] = word;
            }
            x_scales[at] = peak / 127.0;
        }
        for (var at = lane; at < tile_cols; at += WORKGROUP * WORKGROUP) {
            let col = min(first_col + at, params.cols - 1u);
            for (var k = 0u; k < WORDS; k++) {
                var word = 0u;
                if k < count {
                    word = weight_word(col, start + k);
                }
                w_tile[k * tile_cols + at] = word;
            }
            w_scales[at] = weight_scales(col, start / WORDS);
        }
        workgroupBarrier();
        for (var r = 0u; r < ROWS; r++) {
            let x_at = r * WORKGROUP + local.y;
            for (var c = 0u; c < COLS; c++) {
                let w_at = c * WORKGROUP + local.x;
                var low = 0;
                var high = 0;
                for (var k = 0u; k < WORDS / 2u; k++) {
                    low += dot4I8Packed(x_tile[k * tile_rows + x_at], w_tile[k * tile_cols + w_at]);
                    high += dot4I8Packed(x_tile[(k + 4u) * tile_rows + x_at], w_tile[(k + 4u) * tile_cols + w_at]);
                }
                sums[r * COLS + c] += x_scales[x_at] * dot(vec2f(f32(low), f32(high)), w_scales[w_at]);
            }
        }
    }
    for (var r = 0u; r < ROWS; r++) {
        for (var c = 0u; c < COLS; c++) {
            store(first_row + r * WORKGROUP + local.y, first_col + c * WORKGROUP + local.x, sums[r * COLS + c]);
        }
    }
}
