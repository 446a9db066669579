// Sentences of errors (core/check.hpp).

#include "d3ad/core/check-inl.hpp"
