// Which network a file of weights holds.

#include "d3ad/models/recognise-inl.hpp"
