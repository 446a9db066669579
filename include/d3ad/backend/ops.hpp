#pragma once
// All operations of all devices: what the layers above are written on. Overloads on the context choose the device.

#include "d3ad/backend/cpu/ops.hpp"
#include "d3ad/backend/reference/ops.hpp"
