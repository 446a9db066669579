// Images: decoding (stb_image), resizing, masks.

#include "d3ad/data/image-inl.hpp"
#include "d3ad/data/resize-inl.hpp"
