// Tiles and products of four in f16, for devices with the feature shader-f16. First of the files that are joined.

enable f16;

alias Element4 = vec4h;
