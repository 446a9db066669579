// Ablations, instantiated for the CPU.

#include "d3ad/ablation/ablate-inl.hpp"
#include "d3ad/ablation/ablate_maps-inl.hpp"
#include "d3ad/ablation/ablate_models-inl.hpp"
#include "d3ad/ablation/ablate_plot-inl.hpp"
#include "d3ad/ablation/ablate_rows-inl.hpp"
#include "d3ad/ablation/grid-inl.hpp"

namespace d3ad {

template class AblationModels<Cpu>;
template class Ablation<Cpu>;

}  // namespace d3ad
