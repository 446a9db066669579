// ResNet against the reference: both modes, the running statistics, and the names of the architectures.

#include "d3ad/models/resnet.hpp"

#include <doctest/doctest.h>

#include "d3ad/weights/source.hpp"
#include "support/compare.hpp"
#include "support/golden.hpp"

namespace resnet_test {

using namespace d3ad;

TEST_CASE("ResNet-34 equals the reference in evaluation and in training mode") {
  const test::Golden golden("resnet34");
  Context<Cpu> ctx;
  ParameterStore<Cpu> store;
  HashSource source("resnet34.");
  const ResNet<Cpu> net(Params<Cpu>(store, source), golden.config().get<ResNetConfig>());
  const auto x = golden.tensor("x");

  const auto eval = net.features(ctx, test::borrow(x));
  const auto train = net.features(ctx, test::borrow(x), /*training=*/true);
  for (std::size_t i = 0; i < 3; ++i) {
    const auto e =
        test::compare(eval[i].view(), golden.tensor(concat("eval.layer", i + 1)).view(), test::kTolerances.network);
    CHECK_MESSAGE(e.close, e);
    const auto t =
        test::compare(train[i].view(), golden.tensor(concat("train.layer", i + 1)).view(), test::kTolerances.network);
    CHECK_MESSAGE(t.close, t);
    CHECK_FALSE(
        test::compare(eval[i].view(), golden.tensor(concat("train.layer", i + 1)).view(), test::kTolerances.network)
            .close);
  }
  for (const char* name : {"bn1.running_mean", "bn1.running_var", "layer2.0.downsample.1.running_var"}) {
    CAPTURE(name);
    const auto got = test::compare(std::as_const(*store.find(name)).value(),
                                   golden.tensor(concat("after.", name)).view(), test::kTolerances.network);
    CHECK_MESSAGE(got.close, got);
  }
}

TEST_CASE("ResNet: every named architecture runs and has its channels") {
  Context<Cpu> ctx;
  Tensor<float, Cpu> x({.n = 1, .h = 32, .w = 48, .c = 3});
  for (std::int64_t i = 0; i < x.size(); ++i) x.data()[i] = 0.01f * static_cast<float>(i % 100) - 0.5f;
  for (const auto& name : ResNetConfig::names()) {
    CAPTURE(name);
    ParameterStore<Cpu> store;
    InitSource source(3);
    const ResNet<Cpu> net(Params<Cpu>(store, source), ResNetConfig::named(name));
    const auto f = net.features(ctx, test::borrow(x));
    CHECK_EQ(f[0].shape(), Shape{1, 8, 12, net.channels(1)});
    CHECK_EQ(f[1].shape(), Shape{1, 4, 6, net.channels(2)});
    CHECK_EQ(f[2].shape(), Shape{1, 2, 3, net.channels(3)});
    if (name.find("50") != std::string::npos || name.find("101") != std::string::npos) CHECK_EQ(net.channels(3), 1024);
  }
  CHECK_THROWS_WITH_AS(ResNetConfig::named("resnet19"), doctest::Contains("wide_resnet50_2"), Error);
}

TEST_CASE("ResNet: every named architecture has torchvision's number of parameters") {
  const std::pair<const char*, std::int64_t> published[] = {
      {"resnet18", 11'689'512},  {"resnet34", 21'797'672},        {"resnet50", 25'557'032},
      {"resnet101", 44'549'160}, {"wide_resnet50_2", 68'883'240}, {"wide_resnet101_2", 126'886'696}};
  for (const auto& network : published) {
    INFO("network: ", std::string(network.first));
    auto config = ResNetConfig::named(network.first);
    config.classes = 1000;
    ParameterStore<Cpu> store;
    HashSource source("resnet.");
    const ResNet<Cpu> net(Params<Cpu>(store, source), config);
    std::int64_t trained = 0;
    for (const auto& parameter : store)
      if (parameter.trainable()) trained += parameter.size();
    CHECK_EQ(trained, network.second);
  }
}

}  // namespace resnet_test
