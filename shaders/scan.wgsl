// best[q, g] = max over the rows r of group g that pass of score(q, r), the cosine up to a factor of the query's own
// The search of `ocelli/index` (pkg/src/index/scan.ts): one invocation a row, one workgroup a block of rows, which lie step by
// step: what neighbours read lies side by side. Of each group only the best score is written, and so read back.
// Joined to lib/rows_f32.wgsl or lib/rows_int8.wgsl.

const BLOCK: u32 = 64u;
const GROUP: u32 = 16u;
const NOTHING: f32 = -3.0e38;

struct Params {
    steps: u32,    // of 16 bytes, in a row
    first: u32,    // block of the index with which these rows begin
    groups: u32,   // in the index
    queries: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> passes: array<u32>;      // [blocks of the index, 2], a bit for each row
@group(0) @binding(3) var<storage, read_write> best: array<f32>;  // [queries, groups]

var<workgroup> scores: array<f32, BLOCK>;

@compute @workgroup_size(BLOCK)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    let block = params.first + group.x;
    let counts = ((passes[block * 2u + lane / 32u] >> (lane % 32u)) & 1u) == 1u;
    // Many queries read the same rows again while a cache still has them.
    for (var q = 0u; q < params.queries; q++) {
        scores[lane] = NOTHING;
        if counts {
            scores[lane] = score(q, group.x, lane);
        }
        workgroupBarrier();
        if lane % GROUP == 0u {
            var peak = scores[lane];
            for (var i = 1u; i < GROUP; i++) {
                peak = max(peak, scores[lane + i]);
            }
            best[q * params.groups + (block * BLOCK + lane) / GROUP] = peak;
        }
        workgroupBarrier();
    }
}
