// score(q, r) = scale[r] · Σ_d (255 · high[q, d] + low[q, d]) · row[r, d]
// The query has 16 bits in two packed halves, so that both dot products are exact integers and only the rows are rounded to 8.

@group(0) @binding(2) var<storage, read> queries: array<vec4u>;  // [queries, steps, 2], sixteen i8 each: high, low
@group(1) @binding(0) var<storage, read> rows: array<vec4u>;     // [blocks, steps, 64], sixteen i8 of a row each
@group(1) @binding(1) var<storage, read> scales: array<f32>;     // [blocks, 64]

fn dot16(a: vec4u, b: vec4u) -> i32 {
    return dot4I8Packed(a.x, b.x) + dot4I8Packed(a.y, b.y) + dot4I8Packed(a.z, b.z) + dot4I8Packed(a.w, b.w);
}

fn score(q: u32, block: u32, lane: u32) -> f32 {
    var high = 0;
    var low = 0;
    for (var s = 0u; s < params.steps; s++) {
        let row = rows[(block * params.steps + s) * BLOCK + lane];
        let at = (q * params.steps + s) * 2u;
        high += dot16(queries[at], row);
        low += dot16(queries[at + 1u], row);
    }
    return scales[block * BLOCK + lane] * (255.0 * f32(high) + f32(low));
}
