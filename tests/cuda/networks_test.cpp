// The networks on the CUDA device, in each activation type, against the reference; and that they need no memory after
// the first passes.

#include <doctest/doctest.h>

#include <string>

#include "d3ad/autograd/convert.hpp"
#include "d3ad/core/tolerance.hpp"
#include "d3ad/models/resnet.hpp"
#include "d3ad/models/tiny_vae.hpp"
#include "d3ad/models/unet.hpp"
#include "d3ad/models/vae.hpp"
#include "support/compare.hpp"
#include "support/cuda.hpp"
#include "support/golden.hpp"

namespace cuda_networks_test {

using namespace d3ad;

namespace {

template <class T>
Value<T, CudaOf<T>> upload(Context<CudaOf<T>>& ctx, const Tensor<float, Cpu>& x) {
  auto numbers = make_value<float>(ctx, x.shape());
  copy_from_host(numbers.view(), x.data());
  return fn::to_real(ctx, std::move(numbers));
}

template <class T>
void check_close(const Value<T, CudaOf<T>>& got, const Tensor<float, Cpu>& want) {
  const auto c = test::compare(test::from_cuda<T, T>(got.view()).view(), want.view(), tolerances_of<T>().network);
  CHECK_MESSAGE(c.close, c);
}

}  // namespace

TEST_CASE_TEMPLATE("CUDA: UNet equals the reference", T, float, half, bfloat16) {
  if (!test::cuda_present()) return;
  const test::Golden golden("unet_small");
  Context<CudaOf<T>> ctx;
  ParameterStore<CudaOf<T>> store;
  HashSource source("unet.");
  const auto x = golden.tensor("x");
  auto config = golden.config().get<UNetConfig>();
  config.channels = static_cast<int>(x.shape().c);
  const UNet<CudaOf<T>> unet(Params<CudaOf<T>>(store, source), config);
  store.freeze();
  const auto t = golden.steps("t");
  Tensor<std::int32_t, CudaOf<T>> steps(t.shape());
  copy_from_host(steps.view(), t.data());
  const auto compute = [&] { return unet(ctx, upload(ctx, x), View<const std::int32_t, CudaOf<T>>(steps.view())); };
  check_close<T>(compute(), golden.tensor("eps"));
  compute();  // takes the slab
  const auto before = Memory<CudaOf<T>>::allocations();
  check_close<T>(compute(), golden.tensor("eps"));
  CHECK_EQ(Memory<CudaOf<T>>::allocations(), before);
  CHECK(ctx.arena.empty());
}

TEST_CASE_TEMPLATE("CUDA: the autoencoders equal the reference", T, float, half, bfloat16) {
  if (!test::cuda_present()) return;
  Context<CudaOf<T>> ctx;
  {
    const test::Golden golden("vae_small");
    ParameterStore<CudaOf<T>> store;
    HashSource source("vae.");
    const Vae<CudaOf<T>> vae(Params<CudaOf<T>>(store, source), golden.config().get<VaeConfig>());
    store.freeze();
    auto [mean, logvar] = fn::halves(ctx, vae.encode(ctx, upload(ctx, golden.tensor("x"))));
    check_close<T>(mean, golden.tensor("mean"));
    check_close<T>(logvar, golden.tensor("logvar"));
    check_close<T>(vae.decode(ctx, upload(ctx, golden.tensor("z"))), golden.tensor("image"));
  }
  {
    const test::Golden golden("tiny_vae");
    ParameterStore<CudaOf<T>> store;
    HashSource source("tae.");
    const TinyVae<CudaOf<T>> vae(Params<CudaOf<T>>(store, source), golden.config().get<TinyVaeConfig>());
    store.freeze();
    check_close<T>(vae.encode(ctx, upload(ctx, golden.tensor("x"))), golden.tensor("latent"));
    check_close<T>(vae.decode(ctx, upload(ctx, golden.tensor("latent"))), golden.tensor("image"));
  }
}

TEST_CASE_TEMPLATE("CUDA: ResNet-34 equals the reference", T, float, half, bfloat16) {
  if (!test::cuda_present()) return;
  const test::Golden golden("resnet34");
  Context<CudaOf<T>> ctx;
  ParameterStore<CudaOf<T>> store;
  HashSource source("resnet34.");
  const ResNet<CudaOf<T>> net(Params<CudaOf<T>>(store, source), golden.config().get<ResNetConfig>());
  const auto eval = net.features(ctx, upload(ctx, golden.tensor("x")));
  for (std::size_t i = 0; i < 3; ++i) check_close<T>(eval[i], golden.tensor(concat("eval.layer", i + 1)));
  const auto train = net.features(ctx, upload(ctx, golden.tensor("x")), /*training=*/true);
  for (std::size_t i = 0; i < 3; ++i) check_close<T>(train[i], golden.tensor(concat("train.layer", i + 1)));
  for (const char* name : {"bn1.running_mean", "bn1.running_var", "layer2.0.downsample.1.running_var"}) {
    CAPTURE(name);
    const auto got = test::from_cuda<T, float>(store.find(name)->edit());
    const auto c = test::compare(got.view(), golden.tensor(concat("after.", name)).view(), tolerances_of<T>().network);
    CHECK_MESSAGE(c.close, c);
  }
}

}  // namespace cuda_networks_test
