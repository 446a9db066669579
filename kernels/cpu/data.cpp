// Datasets, tiles, loading.

#include "d3ad/backend/ops.hpp"
#include "d3ad/data/dataset-inl.hpp"
#include "d3ad/data/dataset_check-inl.hpp"
#include "d3ad/data/good_images-inl.hpp"
#include "d3ad/data/image_loader-inl.hpp"
#include "d3ad/data/tile-inl.hpp"

namespace d3ad {

template Value<float, Cpu> GoodImages::load(Context<Cpu>&, const std::vector<Piece>&, std::int64_t, std::int64_t) const;
template Value<float, Cpu> GoodImages::load(Context<Cpu>&, const Paths&, std::int64_t, std::int64_t) const;

}  // namespace d3ad
