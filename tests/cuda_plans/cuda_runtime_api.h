#pragma once
// What cudnn.h includes: the emulated runtime.

#include "cuda_runtime.h"
