// Figures: the numbers in them are the method's, the images in them those that were asked for.

#include <doctest/doctest.h>

#include <cmath>
#include <numeric>

#include "d3ad/pipeline/train.hpp"
#include "d3ad/report/figure_bins.hpp"
#include "d3ad/report/figure_noising.hpp"
#include "d3ad/report/figure_omega.hpp"
#include "d3ad/report/figure_scaling.hpp"
#include "support/temporary_folder.hpp"

namespace figure_test {

using namespace d3ad;
namespace fs = std::filesystem;
using test::contains, test::refusal;

namespace {

constexpr int kSize = 64;

Image grey_image(int value) {
  Image image(kSize, kSize, 3);
  for (std::size_t i = 0; i < image.pixels.size(); ++i)
    image.pixels[i] = static_cast<std::uint8_t>(value + static_cast<int>(i * 7 % 40));
  return image;
}

// A model that has learned next to nothing, of random networks, and its images: 4 to learn from, 2 good tests, 2 with
// spots (one without a mask) and 1 with a hole.
struct Place {
  test::TemporaryFolder folder;
  fs::path data = folder / "data", model = folder / "model";

  Place() {
    const auto put = [&](const std::string& where, const Image& image) {
      create_folders((data / "part" / where).parent_path());
      write_png(data / "part" / where, image);
    };
    for (int i = 0; i < 4; ++i) put(concat("train/good/", i, ".png"), grey_image(80 + 5 * i));
    for (int i = 0; i < 2; ++i) put(concat("test/good/00", i, ".png"), grey_image(84 + i));
    for (int i = 0; i < 2; ++i) put(concat("test/spot/00", i, ".png"), grey_image(180 + 20 * i));
    put("test/hole/000.png", grey_image(10));
    put("ground_truth/spot/000_mask.png", half());
    put("ground_truth/hole/000_mask.png", half());
    ParameterStore<Cpu> store, other;
    InitSource source(1);
    const TinyVae<Cpu> vae(Params<Cpu>(store, source), {.latent_channels = 4, .width = 16});
    save_parameters(store, folder / "vae.safetensors", {});
    auto config = ResNetConfig::named("resnet18");
    config.width = 8;
    const ResNet<Cpu> resnet(Params<Cpu>(other, source), config);
    save_parameters(other, folder / "resnet.safetensors", {});

    TrainRequest r;
    r.category = "part";
    for (const auto& s : open_dataset(data, "part").train) r.good.push_back(s.image);
    r.vae = folder / "vae.safetensors", r.extractor = folder / "resnet.safetensors", r.model = model;
    auto& s = r.settings;
    s.data.image_size = kSize, s.unet.base = 32, s.unet.multipliers = {1, 1}, s.unet.attention = {2}, s.unet.heads = 2,
    s.training.iterations = 2;
    s.training.batch = 2, s.conditioning.k = 2, s.denoising.steps = 2, s.conditioning.T_max = 80, s.data.held_back = 0;
    Context<Cpu> ctx({.threads = 2});
    Trainer<Cpu>(ctx, r, {}).run();
  }

  static Image half() {
    Image mask(kSize, kSize, 1);
    std::fill_n(mask.pixels.begin(), mask.pixels.size() / 2, std::uint8_t{255});
    return mask;
  }
};

const Place& place() {
  static const Place one;
  return one;
}

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t n = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + part.size())) ++n;
  return n;
}

std::string embedded(const Image& image) { return draw::base64(encode_png(image)); }

std::vector<std::string> names_of(const std::vector<Sample>& samples) {
  std::vector<std::string> out;
  for (const auto& s : samples) out.push_back(sample_name(s));
  return out;
}

}  // namespace

TEST_CASE("noised and scaled pictures are what their formulas say") {
  const Schedule schedule;
  const auto x = to_input(grey_image(100), kSize);
  const std::vector<int> t{0, 100, 400, 999};
  const auto pictures = noised_pictures(x, kSize, t, 5);
  REQUIRE(pictures.noised.size() == 4);
  REQUIRE(pictures.scaled.size() == 4);
  const Rng rng(5, Rng::stream("figure.noising"));
  double sum = 0, squares = 0;
  for (std::size_t k = 0; k < t.size(); ++k) {
    const double alpha_bar = schedule.alpha_bar(t[k]);
    double off_scaled = 0, off_noised = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double noise = rng.normal(i);
      off_scaled = std::max(off_scaled, std::abs(pictures.scaled[k][i] - std::sqrt(alpha_bar) * x[i]));
      off_noised = std::max(off_noised, std::abs(pictures.noised[k][i] -
                                                 (std::sqrt(alpha_bar) * x[i] + std::sqrt(1 - alpha_bar) * noise)));
      if (k == 0) sum += noise, squares += noise * noise;
    }
    CHECK(off_scaled < 1e-6);
    CHECK(off_noised < 1e-5);
  }
  const auto n = static_cast<double>(x.size());
  CHECK(std::abs(sum / n) < 0.1);
  CHECK(squares / n == doctest::Approx(1).epsilon(0.1));
  CHECK(noised_pictures(x, kSize, t, 6).noised[1] != pictures.noised[1]);
  CHECK(contains(refusal([&] { noised_pictures(x, 8, t, 0); }), "expected 8 x 8 x 3"));
}

TEST_CASE("the noising figure holds these pictures, from t = 0 to the last") {
  CHECK(noising_times(400, 9) == std::vector<int>{0, 50, 100, 150, 200, 250, 300, 350, 400});
  CHECK(noising_times(10, 4) == std::vector<int>{0, 3, 7, 10});
  CHECK(noising_times(1, 2) == std::vector<int>{0, 1});
  CHECK(contains(refusal([] { noising_times(1000, 9); }), "expected 1 to 999"));
  CHECK(contains(refusal([] { noising_times(0, 2); }), "t-max is 0"));
  CHECK(contains(refusal([] { noising_times(4, 9); }), "expected 2 to 5"));
  CHECK(contains(refusal([] { noising_times(400, 1); }), "1 columns"));

  const auto x = to_input(grey_image(100), kSize);
  const auto d = noising_figure({{"one", x}, {"two", x}}, kSize, {.t_max = 800, .columns = 3, .seed = 1, .cell = 40});
  const auto svg = d.svg("");
  CHECK(count(svg, "<image ") == 12);
  for (const char* text : {">t = 0<", ">t = 400<", ">t = 800<", ">noising<", ">scaling<", ">one<", ">two<"})
    CHECK(contains(svg, text));
  const auto pictures = noised_pictures(x, kSize, {0, 400, 800}, 1);
  for (const auto* row : {&pictures.noised, &pictures.scaled})
    for (const auto& p : *row) CHECK(count(svg, embedded(to_image(p, kSize))) == 2);
}

TEST_CASE("test images are chosen by name, or the first ones of each kind") {
  const auto dataset = open_dataset(place().data, "part");
  using Names = std::vector<std::string>;
  CHECK(names_of(choose_samples(dataset, {})) == Names{"good/000", "hole/000", "spot/000"});
  CHECK(names_of(choose_samples(dataset, {.each = 5})) ==
        Names{"good/000", "good/001", "hole/000", "spot/000", "spot/001"});
  CHECK(names_of(choose_samples(dataset, {.defects = {"spot", "good"}})) == Names{"spot/000", "good/000"});
  CHECK(names_of(choose_samples(dataset, {.images = {"spot/001", "good/000.png"}})) == Names{"spot/001", "good/000"});
  CHECK(contains(refusal([&] { choose_samples(dataset, {.images = {"spt/001"}}); }), "'spot/001'"));
  CHECK(contains(refusal([&] { choose_samples(dataset, {.defects = {"spots"}}); }), "'spot'"));
  CHECK(contains(refusal([&] { choose_samples(Dataset(), {}); }), "has no test images"));
}

TEST_CASE("the grid shows what the detector finds") {
  Context<Cpu> ctx({.threads = 2});
  Detector<Cpu> detector(ctx, place().model);
  const auto dataset = open_dataset(place().data, "part");
  const auto samples = choose_samples(dataset, {.each = 2});
  std::int64_t told = 0;
  GridOptions options{.cell = 128};
  options.work.progress = [&](std::int64_t done, std::int64_t total) {
    CHECK(done >= told);
    told = done;
    CHECK(total == 5);
  };
  const auto svg = grid_figure(detector, samples, options).svg("");
  CHECK(told == 5);
  CHECK(count(svg, "<image ") == 5 * 5 - 1 + 1);  // one image has no mask; the colours' bar
  CHECK(count(svg, ">none<") == 1);
  const auto d = detector(read_image(samples[3].image));
  CHECK(contains(svg, embedded(to_image(d.input, kSize))));
  CHECK(contains(svg, embedded(to_image(d.reconstruction, kSize))));
  CHECK(contains(svg, embedded(draw::heat_map(d.map, kSize, 0, detector.brightest()))));
  CHECK(contains(svg, embedded(Place::half())));
  CHECK(contains(svg, ">score " + fixed(double{d.score}, 3)));
  CHECK(contains(svg, ">spot/000<"));
  options.work.stop = [] { return true; };
  CHECK_THROWS_AS(grid_figure(detector, samples, options), Interrupted);
  CHECK(contains(refusal([&] { grid_figure(detector, {}, {}); }), "no images"));
}

TEST_CASE("scaling and noising begin where denoising begins, and omega = 0 is what the detector does") {
  Context<Cpu> ctx({.threads = 2});
  Detector<Cpu> detector(ctx, place().model);
  const auto input = to_input(grey_image(90), kSize);
  const auto scaled = perturb(detector, input, 0), noised = perturb(detector, input, 1, 3);
  const auto d = detector(std::vector{Frame{kSize, kSize, input}}).front();
  CHECK(scaled.T_hat == d.attributes.at("T_hat"));
  CHECK(scaled.reconstruction == d.reconstruction);
  CHECK(scaled.map == d.map);
  CHECK(scaled.score == d.score);
  CHECK(noised.reconstruction != scaled.reconstruction);
  CHECK(noised.start != perturb(detector, input, 1, 4).start);
  CHECK(contains(refusal([&] { perturb(detector, input, 1.5); }), "omega is 1.5"));

  // The start that is shown is the one that denoising reports of its step 0.
  const auto method = as_d3ad(detector.method()).algorithm();
  auto options = method.denoise_options(3);
  options.omega = 1;
  const auto z0 = method.encode(ctx, detector.upload(std::vector{Frame{kSize, kSize, input}}), 3);
  std::vector<float> seen(static_cast<std::size_t>(z0.shape().size())), start(seen.size());
  const std::vector<int> T_hat{noised.T_hat};
  diffusion::reconstruct(
      ctx, [&](Context<Cpu>& c, Value<float, Cpu> x, View<const std::int32_t, Cpu> t) { return method.unet(c, x, t); },
      z0, T_hat, method.schedule, options, {},
      [&](int done, View<const float, Cpu> x) {
        if (done == 0) copy_to_host(seen.data(), x);
      });
  const auto own = diffusion::start(ctx, z0, T_hat, method.schedule, options);
  copy_to_host(start.data(), View<const float, Cpu>(own.view()));
  CHECK(start == seen);
  auto decoded = detector.host(method.decode(ctx, own), 0);
  for (float& v : decoded) v = std::clamp(v, -1.0f, 1.0f);
  CHECK(noised.start == decoded);

  const auto samples = choose_samples(open_dataset(place().data, "part"), {.images = {"hole/000", "good/001"}});
  const auto svg = scaling_figure(detector, samples, {.cell = 40}).svg("");
  CHECK(count(svg, "<image ") == 2 * 7 + 2);
  CHECK(contains(svg, "noiseless scaling, ω = 0"));
  const auto second = perturb(detector, read_input(samples[1].image, kSize), 1, 1);
  CHECK(contains(svg, embedded(to_image(second.start, kSize))));
  // The map's colours: from the least to the largest value of both images' maps.
  auto both = perturb(detector, read_input(samples[0].image, kSize), 1, 0).map;
  both.insert(both.end(), second.map.begin(), second.map.end());
  const auto range = std::minmax_element(both.begin(), both.end());
  CHECK(contains(svg, embedded(draw::heat_map(second.map, kSize, *range.first, *range.second))));
}

TEST_CASE("bins count every image once, and are those that detection chooses") {
  Context<Cpu> ctx({.threads = 2});
  Detector<Cpu> detector(ctx, place().model);
  auto dataset = open_dataset(place().data, "part");
  const auto counts = count_bins(detector, dataset, 2);
  const auto sum = [](const std::vector<std::int64_t>& of) { return std::accumulate(of.begin(), of.end(), 0L); };
  CHECK(counts.T_hat.size() == 11);
  CHECK(sum(counts.training) == 4);
  CHECK(sum(counts.good) == 2);
  CHECK(sum(counts.faulty) == 3);
  std::vector<std::int64_t> faulty(11, 0);
  for (const auto& s : dataset.test) {
    const auto c = detector(read_image(s.image)).attributes;
    CHECK(counts.T_hat[static_cast<std::size_t>(c.at("bin"))] == c.at("T_hat"));
    if (s.anomalous()) ++faulty[static_cast<std::size_t>(c.at("bin"))];
  }
  CHECK(faulty == counts.faulty);
  CHECK(counts.T_hat[10] == 80);
  const auto svg = bins_figure(counts, "part").svg("");
  for (const char* text : {">training (4)<", ">good tests (2)<", ">faulty tests (3)<", "share of the images, %"})
    CHECK(contains(svg, text));
  // Without test images the training's bins alone; what cannot be read is said.
  Dataset none = dataset;
  none.test.clear();
  CHECK_FALSE(contains(bins_figure(count_bins(detector, none), "part").svg(""), "tests"));
  const fs::path broken = place().folder / "broken.png";
  write_atomically(broken, "no image");
  dataset.test[0].image = broken;
  const auto fewer = count_bins(detector, dataset);
  CHECK(sum(fewer.good) == 1);
  REQUIRE(fewer.skipped.size() == 1);
  CHECK(contains(fewer.skipped[0], "broken.png"));
}

TEST_CASE("a sweep of omega has evaluate's metrics and the detector's reconstructions") {
  Context<Cpu> ctx({.threads = 2});
  const auto dataset = open_dataset(place().data, "part");
  const auto shown = choose_samples(dataset, {.images = {"spot/000"}});
  OmegaSweep sweep(shown);
  CHECK(contains(refusal([&] { sweep.figure({}); }), "no values"));
  for (const double omega : {0.0, 0.5}) {
    Detector<Cpu> detector(ctx, place().model, [&](Settings& s) { s.denoising.omega = omega; });
    const auto result = sweep.add(detector, dataset, {.batch = 2});
    CHECK(sweep.points().back().metrics.i_auroc == result.rows.front().i_auroc);
    CHECK(result.rows.front().protocol == "paper");
  }
  REQUIRE(sweep.points().size() == 2);
  CHECK(sweep.points()[1].omega == 0.5);
  CHECK(sweep.points()[0].reconstructions[0].pixels != sweep.points()[1].reconstructions[0].pixels);
  const auto svg = sweep.figure({.cell = 96, .title = "part <1>"}).svg("");
  CHECK(count(svg, "<image ") == 3);
  for (const char* text : {">I-AUROC<", ">P-AUROC<", ">PRO<", ">ω = 0<", ">ω = 0.5<", "part &lt;1&gt;", ">spot/000<"})
    CHECK(contains(svg, text));
  CHECK(contains(svg, embedded(sweep.points()[1].reconstructions[0])));

  auto elsewhere = shown;
  elsewhere[0].image = "nowhere.png";
  OmegaSweep lost(elsewhere);
  Detector<Cpu> detector(ctx, place().model);
  CHECK(contains(refusal([&] { lost.add(detector, dataset, {.batch = 4}); }), "could not be judged"));
}

TEST_CASE("a grid of panels refuses rows of another length, and shortens long names") {
  PanelGrid grid{.cell = 40, .columns = {{"a"}, {"b"}}};
  grid.rows.push_back({"a very long name of an image: Prüfstück", "", {Image(4, 4, 3), std::nullopt}});
  draw::Drawing d(grid.width(), grid.height());
  grid.draw(d, 0, 0);
  const auto svg = d.svg("");
  CHECK(contains(svg, "…"));
  CHECK(contains(svg, "stück<"));
  CHECK(contains(svg, ">none<"));
  grid.rows.push_back({"short", "", {Image(4, 4, 3)}});
  draw::Drawing again(grid.width(), grid.height());
  CHECK(contains(refusal([&] { grid.draw(again, 0, 0); }), "1 pictures for 2 columns"));
}

}  // namespace figure_test
