// score(q, r) = Σ_d query[q, d] · row[r, d]

@group(0) @binding(2) var<storage, read> queries: array<vec4f>;  // [queries, steps]
@group(1) @binding(0) var<storage, read> rows: array<vec4f>;     // [blocks, steps, 64], four numbers of a row each

fn score(q: u32, block: u32, lane: u32) -> f32 {
    var sums = vec4f();
    for (var s = 0u; s < params.steps; s++) {
        sums += queries[q * params.steps + s] * rows[(block * params.steps + s) * BLOCK + lane];
    }
    return sums.x + sums.y + sums.z + sums.w;
}
