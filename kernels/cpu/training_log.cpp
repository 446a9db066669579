// Curves of training as CSV, as a picture and for TensorBoard.

#include "d3ad/pipeline/event_file-inl.hpp"
#include "d3ad/pipeline/training_log-inl.hpp"
