// The first ten minutes with the library: a context, tensors, an operation, a gradient.
//
//   ./first_tensor
//   y = 3 x^2 + 1 at x = 2 is 13, its slope there 12

#include <cstdio>
#include <d3ad/d3ad.hpp>

using namespace d3ad;

int main() {
  // A context is a device at work: its threads, its memory, what it has compiled. Operations take it first.
  Context<Cpu> ctx;

  // A Value is a counted reference to memory of the context's arena; shapes are {n, h, w, c}, channels last, and what
  // is not named is 1. view() is what operations take: a pointer and a shape that own nothing.
  auto x = make_value<float>(ctx, {.c = 1});
  ops::fill(ctx, x.view(), 2.0f);

  // The same functions compute on a context, or compute and remember on a tape.
  Tape<Cpu> tape(ctx);
  x = tape.leaf(x);
  auto target = make_value<float>(ctx, {.c = 1});
  ops::fill(ctx, target.view(), 0.0f);
  const auto y = fn::scale(tape, fn::mse(tape, x, target), 3.0f, 1.0f);  // of one number, mse(x, 0) is x^2
  tape.backward(y);

  std::printf("y = 3 x^2 + 1 at x = 2 is %g, its slope there %g\n", static_cast<double>(y.view().data[0]),
              static_cast<double>(tape.gradient(x).view().data[0]));
}
