// Reconstruction with a UNet against the reference: every step of it, with and without guidance, with noise at the
// start.

#include <doctest/doctest.h>

#include <cstdint>
#include <iterator>
#include <string>

#include "d3ad/autograd/functions.hpp"
#include "d3ad/backend/reference/ops.hpp"
#include "d3ad/diffusion/denoise.hpp"
#include "d3ad/models/unet.hpp"
#include "d3ad/networks-inl.hpp"
#include "support/compare.hpp"
#include "support/golden.hpp"

namespace reconstruct_test {

using namespace d3ad;

namespace {

// The golden's run of its first images (each has its own, whatever is computed beside it) with `options` changed;
// compares each step the golden holds. Returns how many were off.
template <class Device, class Change>
int off(const std::string& name, std::int64_t images, int& compared, Change&& change) {
  const test::Golden golden(name);
  Context<Device> ctx;
  ParameterStore<Device> store;
  HashSource source(golden.file.metadata().at("prefix"));
  const auto z0 = golden.tensor("z0");
  auto config = golden.config();
  if (!config.contains("channels")) config["channels"] = z0.shape().c;
  const UNet<Device> unet(Params<Device>(store, source), config.template get<UNetConfig>());
  store.freeze();
  const auto scale = static_cast<float>(golden.number("eps_scale"));
  const auto model = [&](Context<Device>& c, Value<Real<Device>, Device> x, View<const std::int32_t, Device> t) {
    return fn::scale(c, unet(c, std::move(x), t), scale);
  };
  std::vector<int> T_hat;
  for (const auto t : golden.file.ints("T_hat")) T_hat.push_back(static_cast<int>(t));
  REQUIRE(images <= std::ssize(T_hat));
  T_hat.resize(static_cast<std::size_t>(images));
  diffusion::DenoiseOptions options{.eta2 = static_cast<float>(golden.number("eta2")),
                                    .omega = static_cast<float>(golden.number("omega"))};
  change(options, T_hat);
  const auto on_device = [&](const std::string& tensor) {
    const auto host = golden.tensor(tensor);
    const auto first = host.view().images(0, images);
    auto out = make_value<Real<Device>>(ctx, first.shape);
    std::copy_n(first.data, first.size(), out.view().data);
    return out;
  };
  Value<Real<Device>, Device> noise;
  if (golden.file.has("noise")) noise = on_device("noise");
  int wrong = 0;
  compared = 0;
  const auto on_step = [&](int done, View<const Real<Device>, Device> x) {
    const auto step = done == 0 && golden.file.has("first") ? std::string("first") : concat("x.", done);
    if (!golden.file.has(step)) return;
    const auto all = golden.tensor(step);
    const auto c = test::compare(x, all.view().images(0, images), test::kTolerances.reconstruction);
    INFO(name, " after step ", done, ": ", c);
    wrong += !c.close;
    ++compared;
  };
  const auto last = diffusion::reconstruct(ctx, model, on_device("z0"), T_hat, Schedule(), options,
                                           View<const Real<Device>, Device>(noise.view()), on_step);
  if (golden.file.has("last")) {
    const auto all = golden.tensor("last");
    wrong += !test::compare(View<const Real<Device>, Device>(last.view()), all.view().images(0, images),
                            test::kTolerances.reconstruction)
                  .close;
    ++compared;
  }
  return wrong;
}

const auto kAsGiven = [](diffusion::DenoiseOptions&, std::vector<int>&) {};

}  // namespace

TEST_CASE("reconstruction equals the reference, step by step") {
  for (const char* name :
       {"reconstruct_eta2_0", "reconstruct_eta2_4", "reconstruct_eta2_10", "reconstruct_omega_half"}) {
    CAPTURE(name);
    int compared = 0;
    CHECK(off<Cpu>(name, 4, compared, kAsGiven) == 0);
    CHECK(compared > 0);
  }
}

TEST_CASE("reconstruction on the reference device equals the reference too") {
  int compared = 0;
  CHECK(off<Reference>("reconstruct_eta2_4", 1, compared, kAsGiven) == 0);
  CHECK(compared > 0);
}

TEST_CASE("another guidance, T, number of steps or start would be noticed in a reconstruction") {
  int compared = 0;
  const auto noticed = [&](const char* name, auto change) { return off<Cpu>(name, 1, compared, change) > 0; };
  CHECK(noticed("reconstruct_eta2_4", [](auto& o, auto&) { o.eta2 = 3.9f; }));
  CHECK(noticed("reconstruct_eta2_4", [](auto&, auto& T_hat) { T_hat[0] += 10; }));
  CHECK(noticed("reconstruct_eta2_4", [](auto& o, auto&) { o.steps = 5; }));
  CHECK(noticed("reconstruct_eta2_4", [](auto& o, auto&) { o.drop_first_direction = true; }));
  CHECK(noticed("reconstruct_omega_half", [](auto& o, auto&) { o.omega = 0.45f; }));
}

}  // namespace reconstruct_test
