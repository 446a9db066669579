#pragma once
// The CPU operation(s) of this name: backend/cpu/elementary.hpp.

#include "d3ad/backend/cpu/elementary.hpp"
