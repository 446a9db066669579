// Which network a file of weights holds; calibration as JSON.

#include "d3ad/anomaly/calibration-inl.hpp"
#include "d3ad/models/recognise-inl.hpp"
