// Drawings, charts and pictures.

#include "d3ad/draw/chart-inl.hpp"
#include "d3ad/draw/drawing-inl.hpp"
#include "d3ad/draw/markup-inl.hpp"
#include "d3ad/draw/picture-inl.hpp"
#include "d3ad/draw/pixels-inl.hpp"
