// Datasets, tiles, loading.

#include "d3ad/data/dataset-inl.hpp"
#include "d3ad/data/dataset_check-inl.hpp"
#include "d3ad/data/good_images-inl.hpp"
#include "d3ad/data/image_loader-inl.hpp"
#include "d3ad/data/tile-inl.hpp"
