// The CPU's attention.

#include "d3ad/backend/cpu/attention.hpp"
