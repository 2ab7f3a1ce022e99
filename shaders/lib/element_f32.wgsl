// Tiles and products in f32.

alias Element4 = vec4f;
