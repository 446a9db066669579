// The CPU's operations that are loops over elements, pixels or images.

#include "d3ad/backend/cpu/bilinear.hpp"
#include "d3ad/backend/cpu/blur.hpp"
#include "d3ad/backend/cpu/diffusion_step.hpp"
#include "d3ad/backend/cpu/distance.hpp"
#include "d3ad/backend/cpu/image_input.hpp"
#include "d3ad/backend/cpu/loss.hpp"
#include "d3ad/backend/cpu/nearest.hpp"
#include "d3ad/backend/cpu/noise.hpp"
#include "d3ad/backend/cpu/optimizer.hpp"
#include "d3ad/backend/cpu/posterior.hpp"
#include "d3ad/backend/cpu/time_embedding.hpp"
