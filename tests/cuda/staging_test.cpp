// Batches that are on their way while another one is computed (core/staging.hpp): nothing is mixed up, whatever the
// order in which the streams run; and on the emulation, that it would find it if something were.

#include "d3ad/backend/cuda/staging.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "d3ad/backend/cuda/ops.hpp"
#include "support/cuda.hpp"

namespace cuda_staging_test {

using namespace d3ad;

namespace {

constexpr int kPlaces = 1 + kBatchesAhead<Cuda>;

float number(int batch, std::int64_t i) { return static_cast<float>(batch * 1000 + i % 997); }

// Doubles `batches` batches of `count` numbers, two of them under way at a time.
struct Pipeline {
  explicit Pipeline(std::int64_t numbers) : count(numbers) {}

  void begin(int batch, std::int64_t given) {
    auto& place = places[static_cast<std::size_t>(batch % kPlaces)];
    place.reserve(ctx, count, count);
    float* const host = place.inputs();
    for (std::int64_t i = 0; i < given; ++i) host[i] = number(batch, i);
    const View<const float, Cuda> x(place.send(ctx).data, {.c = given});
    const View<float, Cuda> out(place.results().data, {.c = given});
    ops::scale(ctx, out, x, 2.0f, 1.0f);
    place.fetch(ctx);
  }
  bool finish(int batch, std::int64_t given) {
    const float* const found = places[static_cast<std::size_t>(batch % kPlaces)].wait();
    bool right = true;
    for (std::int64_t i = 0; i < given; ++i) right = right && found[i] == 2 * number(batch, i) + 1;
    return right;
  }

  std::int64_t count;
  Context<Cuda> ctx;
  std::array<StagingPlace<Cuda>, kPlaces> places;
};

#if defined(D3AD_CUDA_EMULATION)
constexpr emulation::Late kOrders[] = {emulation::Late::apart, emulation::Late::with_default, emulation::Late::all};
// These streams run late as long as this lives.
struct Late {
  explicit Late(emulation::Late which) : before(emulation::late()) { emulation::late() = which; }
  ~Late() { emulation::late() = before; }
  emulation::Late before;
};
#else
constexpr int kOrders[] = {0};
struct Late {
  explicit Late(int) {}
};
#endif

}  // namespace

TEST_CASE("CUDA: batches come and go while others are computed") {
  if (!test::cuda_present()) return;
  for (const auto order : kOrders) {
    const Late late(order);
    Pipeline pipeline(5000);
    std::int64_t taken = 0;
    for (int batch = 0; batch < 8; ++batch) {
      CAPTURE(batch);
      pipeline.begin(batch, batch == 6 ? 17 : 5000);
      if (batch >= kBatchesAhead<Cuda>)
        CHECK(pipeline.finish(batch - kBatchesAhead<Cuda>, batch - kBatchesAhead<Cuda> == 6 ? 17 : 5000));
      if (batch == kPlaces) taken = cuda::DeviceMemory::allocations();
    }
    CHECK(pipeline.finish(7, 5000));
    CHECK(cuda::DeviceMemory::allocations() == taken);
  }
}

TEST_CASE("CUDA: a batch that was given up does not disturb those after it") {
  if (!test::cuda_present()) return;
  for (const auto order : kOrders) {
    const Late late(order);
    Pipeline pipeline(3000);
    pipeline.begin(0, 3000);
    // Inputs are sent, something reads them, and no result is fetched.
    auto& place = pipeline.places[1];
    place.reserve(pipeline.ctx, 3000, 3000);
    for (std::int64_t i = 0; i < 3000; ++i) place.inputs()[i] = 7;
    const auto x = place.send(pipeline.ctx);
    Tensor<float, Cuda> read({.c = 3000});
    ops::copy(pipeline.ctx, read.view(), x);
    pipeline.begin(1, 3000);
    CHECK(pipeline.finish(0, 3000));
    CHECK(pipeline.finish(1, 3000));
    const auto host = test::from_cuda<float>(read.view());
    bool as_it_was = true;
    for (std::int64_t i = 0; i < 3000; ++i) as_it_was = as_it_was && host.data()[i] == 7;
    CHECK(as_it_was);
    // One whose results nobody takes.
    pipeline.begin(2, 3000);
    pipeline.begin(4, 3000);
    CHECK(pipeline.finish(4, 3000));
  }
}

#if defined(D3AD_CUDA_EMULATION)
TEST_CASE("the emulation finds what is not waited for") {
  constexpr std::int64_t kCount = 100;
  // Numbers go to the device on one stream, are copied there on another and come back on a third; waits that are left
  // out: 0 none, 1 the computation's, 2 that of the copy back, 3 the host's.
  const auto arrives = [](int left_out) {
    const cuda::Stream to(cuda::Stream::Kind::apart), back(cuda::Stream::Kind::apart);
    const Context<Cuda> ctx;
    const cuda::PinnedMemory from(kCount * sizeof(float)), result(kCount * sizeof(float));
    Tensor<float, Cuda> x({.c = kCount}), y({.c = kCount});
    const cuda::Event arrived, computed, returned;
    auto* const numbers = reinterpret_cast<float*>(from.data());
    for (std::int64_t i = 0; i < kCount; ++i) numbers[i] = number(1, i);
    cudaMemcpyAsync(x.data(), from.data(), from.size(), cudaMemcpyHostToDevice, to.get());
    arrived.record(to.get());
    if (left_out != 1) arrived.wait(ctx.stream());
    cudaMemcpyAsync(y.data(), x.data(), from.size(), cudaMemcpyDeviceToDevice, ctx.stream());
    computed.record(ctx.stream());
    if (left_out != 2) computed.wait(back.get());
    cudaMemcpyAsync(result.data(), y.data(), from.size(), cudaMemcpyDeviceToHost, back.get());
    returned.record(back.get());
    if (left_out != 3) returned.synchronize();
    const auto* const found = reinterpret_cast<const float*>(result.data());
    bool right = true;
    for (std::int64_t i = 0; i < kCount; ++i) right = right && found[i] == number(1, i);
    emulation::finish(true);  // before the memory goes
    return right;
  };
  for (int left_out = 0; left_out <= 3; ++left_out) {
    CAPTURE(left_out);
    bool right = true;
    for (const auto order : kOrders) {
      const Late late(order);
      right = arrives(left_out) && right;
    }
    CHECK(right == (left_out == 0));
  }
}
#endif

}  // namespace cuda_staging_test
