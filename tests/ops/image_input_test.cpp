// ops/image_input.hpp on every device: the numbers of data/resize.hpp, which are Pillow's.

#include "d3ad/ops/image_input.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <string>
#include <vector>

#include "d3ad/backend/cpu/image_input.hpp"
#include "d3ad/backend/reference/image_input.hpp"
#include "d3ad/core/rng.hpp"
#include "d3ad/data/resize.hpp"
#include "support/golden.hpp"
#if defined(D3AD_CUDA)
#include "d3ad/backend/cuda/context.hpp"
#include "support/cuda.hpp"
#endif

namespace ops_image_input_test {

using namespace d3ad;

namespace {

// What the op makes of a photograph on a device whose output is of type U.
template <class U, class Device>
std::vector<U> made(Context<Device>& ctx, const Image& photo, Shape to) {
  Tensor<std::uint8_t, Device> pixels({.h = photo.height, .w = photo.width, .c = 3});
  copy_from_host(pixels.view(), photo.pixels.data());
  Tensor<U, Device> out(to);
  const std::vector<U> nothing(static_cast<std::size_t>(to.size()), static_cast<U>(NAN));
  copy_from_host(out.view(), nothing.data());
  ops::image_input(ctx, out.view(), pixels.view());
  std::vector<U> host(nothing.size());
  copy_to_host(host.data(), View<const U, Device>(out.view()));
  return host;
}

// Noise, or black and white alone, where a wrong weight shows most.
Image noise(int width, int height, bool black_and_white) {
  Image image(width, height, 3);
  const Rng rng(static_cast<std::uint64_t>(width * 1000 + height), Rng::stream("test"));
  for (std::size_t i = 0; i < image.pixels.size(); ++i) {
    const float v = rng.uniform(i);
    image.pixels[i] = black_and_white ? (v < 0.5f ? 0 : 255) : static_cast<std::uint8_t>(256 * v);
  }
  return image;
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

// On all devices the bits of resize() and to_input().
void same_as_resize(const Image& photo, int width, int height) {
  CAPTURE(photo.width);
  CAPTURE(photo.height);
  CAPTURE(width);
  CAPTURE(height);
  const Shape to{.h = height, .w = width, .c = 3};
  const Image small = resize(photo, width, height);
  std::vector<float> want;
  for (const std::uint8_t v : small.pixels) want.push_back(static_cast<float>(v) / 255.0f * 2.0f - 1.0f);
  if (width == height) CHECK(same_bits(want, to_input(photo, width)));
  for (const int threads : {1, 3}) {
    Context<Cpu> ctx({.threads = threads});
    CHECK(same_bits(made<float>(ctx, photo, to), want));
    CHECK(ctx.arena.empty());
  }
  Context<Reference> reference;
  const auto exact = made<double>(reference, photo, to);
  std::vector<std::uint8_t> levels;
  double worst = 0;
  for (const double v : exact) {
    levels.push_back(static_cast<std::uint8_t>(std::lround((v + 1) * 127.5)));
    worst = std::max(worst, std::abs(v - (levels.back() / 127.5 - 1)));
  }
  CHECK(levels == small.pixels);
  CHECK(worst < 1e-15);
#if defined(D3AD_CUDA)
  if (!test::cuda_present()) return;
  Context<Cuda> of_float;
  Context<CudaHalf> of_half;
  Context<CudaBfloat16> of_bfloat16;
  for (int run = 0; run < 2; ++run) CHECK(same_bits(made<float>(of_float, photo, to), want));
  CHECK(same_bits(made<float>(of_half, photo, to), want));
  CHECK(same_bits(made<float>(of_bfloat16, photo, to), want));
  CHECK(of_float.arena.empty());
#endif
}

}  // namespace

TEST_CASE("image_input: smaller, larger, equal, one pixel, odd sizes, sides that differ") {
  for (const bool black_and_white : {false, true}) {
    const auto photo = [&](int w, int h) { return noise(w, h, black_and_white); };
    same_as_resize(photo(100, 75), 32, 32);     // smaller
    same_as_resize(photo(9, 13), 32, 32);       // larger
    same_as_resize(photo(32, 32), 32, 32);      // equal
    same_as_resize(photo(32, 57), 32, 32);      // equal across
    same_as_resize(photo(57, 32), 32, 32);      // equal down
    same_as_resize(photo(1, 1), 16, 16);        // from one pixel
    same_as_resize(photo(61, 47), 1, 1);        // to one pixel
    same_as_resize(photo(1, 50), 7, 7);         // from a column
    same_as_resize(photo(50, 1), 7, 7);         // from a row
    same_as_resize(photo(67, 53), 31, 31);      // odd
    same_as_resize(photo(33, 65), 17, 40);      // smaller across and down by different amounts
    same_as_resize(photo(20, 300), 64, 5);      // larger across, much smaller down
    same_as_resize(photo(2000, 3), 3, 2);       // hundreds of weights
    same_as_resize(photo(640, 600), 640, 300);  // more numbers than a grid has threads at once
  }
}

TEST_CASE("image_input: photographs of one size after another on one context") {
  Context<Cpu> ctx({.threads = 2});
  const Shape to{.h = 24, .w = 24, .c = 3};
  for (const int w : {90, 24, 5, 90, 31}) {
    const Image photo = noise(w, 40, false);
    CHECK(same_bits(made<float>(ctx, photo, to), to_input(photo, 24)));
  }
#if defined(D3AD_CUDA)
  if (test::cuda_present()) {
    Context<Cuda> gpu;
    for (const int w : {90, 24, 5, 90, 31}) {
      const Image photo = noise(w, 40, false);
      CHECK(same_bits(made<float>(gpu, photo, to), to_input(photo, 24)));
    }
  }
#endif
}

TEST_CASE("image_input: sums of millions of weights stay within 32 bits") {
  // Each weight, a half or more of 2^-22, is rounded to the whole: together they are a third too many.
  Image white(5'590'000, 1, 3);
  std::fill(white.pixels.begin(), white.pixels.end(), std::uint8_t{255});
  const auto weights = ops::resize_weights(white.width, 1);
  CHECK(std::accumulate(weights.numbers.begin() + 2, weights.numbers.end(), std::int64_t{0}) == white.width);
  same_as_resize(white, 1, 1);
}

TEST_CASE("image_input of a file's image is Pillow's") {
  const test::Golden golden("resize");
  const auto image = [&](const std::string& name) {
    const auto dims = golden.file.dims(name);
    Image out(static_cast<int>(dims[1]), static_cast<int>(dims[0]), 3);
    std::memcpy(out.pixels.data(), golden.file.bytes(name).data(), out.pixels.size());
    return out;
  };
  for (const std::string number : {"0", "1"}) {
    const Image photo = image("in." + number), want = image("out." + number);
    same_as_resize(photo, want.width, want.height);
    CHECK(resize(photo, want.width, want.height).pixels == want.pixels);
  }
}

TEST_CASE("image_input refuses other shapes than one image of 3 channels, and empty ones") {
  Context<Cpu> ctx({.threads = 1});
  const auto refuse = [&](Shape out, Shape pixels, const char* why) {
    Tensor<float, Cpu> to(out);
    Tensor<std::uint8_t, Cpu> from(pixels);
    CHECK_THROWS_WITH_AS(ops::image_input(ctx, to.view(), from.view()), doctest::Contains(why), Error);
  };
  refuse({1, 4, 4, 3}, {1, 5, 5, 1}, "expected one image of 3 channels");
  refuse({1, 4, 4, 1}, {1, 5, 5, 3}, "expected one image of 3 channels");
  refuse({2, 4, 4, 3}, {2, 5, 5, 3}, "expected one image of 3 channels");
  refuse({1, 0, 4, 3}, {1, 5, 5, 3}, "expected sides between 1");
  refuse({1, 4, 4, 3}, {1, 5, 0, 3}, "expected sides between 1");
#if defined(D3AD_CUDA)
  if (!test::cuda_present()) return;
  Context<Cuda> gpu;
  Tensor<float, Cuda> to({1, 4, 4, 3});
  Tensor<std::uint8_t, Cuda> from({1, 5, 5, 1});
  CHECK_THROWS_WITH_AS(ops::image_input(gpu, to.view(), from.view()), doctest::Contains("3 channels"), Error);
#endif
}

}  // namespace ops_image_input_test
