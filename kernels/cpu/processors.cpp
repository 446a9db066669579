// How many threads a context has by default.

#include "d3ad/core/processors-inl.hpp"
