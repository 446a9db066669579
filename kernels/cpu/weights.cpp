// Files of weights: safetensors, shards, published names, random starts.

#include "d3ad/weights/checkpoint-inl.hpp"
#include "d3ad/weights/hash_weights-inl.hpp"
#include "d3ad/weights/layout-inl.hpp"
#include "d3ad/weights/published_names-inl.hpp"
#include "d3ad/weights/safetensors-inl.hpp"
#include "d3ad/weights/safetensors_header-inl.hpp"
#include "d3ad/weights/source-inl.hpp"
