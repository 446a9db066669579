// Metrics, calibration, implicit conditioning, the steps of denoising.

#include "d3ad/anomaly/calibration-inl.hpp"
#include "d3ad/anomaly/metrics-inl.hpp"
#include "d3ad/anomaly/regions-inl.hpp"
#include "d3ad/diffusion/denoise-inl.hpp"
#include "d3ad/diffusion/implicit_conditioning-inl.hpp"
