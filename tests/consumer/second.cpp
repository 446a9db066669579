// A second file with all headers in it.

#include <d3ad/d3ad.hpp>

float second();
float second() { return 2.0f; }
