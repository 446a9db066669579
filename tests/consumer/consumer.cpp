// Computes something through the headers as a user has them: 1 + 2. With MPI every process has to come to the same.

#include <cstdio>
#include <d3ad/d3ad.hpp>

float second();  // second.cpp, which includes everything too

int main() {
#if defined(D3AD_MPI) && D3AD_MPI
  d3ad::MpiGroup group;
#else
  d3ad::Group& group = d3ad::Group::alone();
#endif
  d3ad::Context<d3ad::Cpu> ctx;
  auto a = ctx.arena.make<float>({.c = 4}), b = ctx.arena.make<float>({.c = 4});
  d3ad::ops::fill(ctx, a.view(), 1.0f);
  d3ad::ops::fill(ctx, b.view(), second());
  d3ad::ops::add(ctx, a.view(), a.view(), b.view());
  const double all = group.sum(static_cast<double>(a.view().data[3]));
  if (group.first()) std::printf("%g by each of %d\n", all / group.size(), group.size());
  return all == 3.0 * group.size() && group.size() == d3ad::launched_processes() ? 0 : 1;
}
