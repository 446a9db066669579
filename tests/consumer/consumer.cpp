// Computes something through the headers as a user has them: 1 + 2.

#include <cstdio>
#include <d3ad/d3ad.hpp>

float second();  // second.cpp, which includes everything too

int main() {
  d3ad::Context<d3ad::Cpu> ctx;
  auto a = ctx.arena.make<float>({.c = 4}), b = ctx.arena.make<float>({.c = 4});
  d3ad::ops::fill(ctx, a.view(), 1.0f);
  d3ad::ops::fill(ctx, b.view(), second());
  d3ad::ops::add(ctx, a.view(), a.view(), b.view());
  std::printf("%g\n", static_cast<double>(a.view().data[3]));
  return a.view().data[3] == 3.0f ? 0 : 1;
}
