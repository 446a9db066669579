// Curves of training as CSV, as a picture and for TensorBoard.

#include "d3ad/methods/event_file-inl.hpp"
#include "d3ad/methods/training_log-inl.hpp"
