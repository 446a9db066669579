// The whole pipeline with small networks on a few generated images: training, its resuming, the model's folder,
// detection and evaluation; what goes wrong with them; memory that stands still.

#include <doctest/doctest.h>

#include <cmath>
#include <fstream>
#include <map>
#include <set>
#include <string>

#include "d3ad/pipeline/report.hpp"
#include "d3ad/pipeline/train.hpp"
#include "support/temporary_folder.hpp"

using namespace d3ad;
namespace fs = std::filesystem;
using test::contains, test::refusal;

namespace {

constexpr int kSize = 64;

// Vertical stripes with some noise; a faulty one has a chequered square.
Image stripes(std::uint64_t seed, bool faulty) {
  Image image(kSize, kSize, 3);
  const Rng rng(seed, 1);
  for (int y = 0; y < kSize; ++y)
    for (int x = 0; x < kSize; ++x) {
      const auto pixel = static_cast<std::uint64_t>(y * kSize + x);
      float v = 90 + 40 * std::sin(0.4f * static_cast<float>(x)) + 10 * rng.uniform(pixel);
      if (faulty && x >= 24 && x < 40 && y >= 24 && y < 40) v = (x / 4 + y / 4) % 2 ? 250.0f : 0.0f;
      for (int c = 0; c < 3; ++c) image.at(x, y)[c] = static_cast<std::uint8_t>(v);
    }
  return image;
}

// A tiny autoencoder that has learned the stripes, as a file's bytes; made once.
const std::string& trained_vae() {
  static const std::string bytes = [] {
    Context<Cpu> ctx({.threads = 2});
    ParameterStore<Cpu> store;
    InitSource source(1);
    const TinyVae<Cpu> net(Params<Cpu>(store, source), {.latent_channels = 4, .width = 16});
    AdamW<Cpu> optimizer(store.parameters(), {.lr = 2e-3f});
    auto x = ctx.arena.make<float>({4, kSize, kSize, 3});
    for (int step = 0; step < 80; ++step) {
      for (int i = 0; i < 4; ++i)
        copy_from_host(x.view().images(i, 1), to_input(stripes(static_cast<std::uint64_t>(i), i == 3), kSize).data());
      Tape<Cpu> tape(ctx);
      optimizer.zero_gradients(ctx);
      tape.backward(fn::l1(tape, net.decode(tape, net.encode(tape, x)), x));
      optimizer.step(ctx, {.clip = 1.0});
    }
    const test::TemporaryFolder folder;
    save_parameters(store, folder / "vae.safetensors", {});
    return read_file(folder / "vae.safetensors", 1 << 28);
  }();
  return bytes;
}

// Images in MVTec AD's layout, and networks for them: that autoencoder and a random extractor.
struct Place {
  test::TemporaryFolder folder;
  fs::path data = folder / "data", vae = folder / "vae.safetensors", extractor = folder / "resnet.safetensors";

  Place() {
    const auto put = [&](const char* where, int i, const Image& image) {
      create_folders(data / "stripes" / where);
      write_png(data / "stripes" / where / (std::to_string(i) + (image.channels == 1 ? "_mask.png" : ".png")), image);
    };
    for (int i = 0; i < 6; ++i) put("train/good", i, stripes(static_cast<std::uint64_t>(i), false));
    for (int i = 0; i < 3; ++i) put("test/good", i, stripes(static_cast<std::uint64_t>(10 + i), false));
    for (int i = 0; i < 3; ++i) {
      put("test/square", i, stripes(static_cast<std::uint64_t>(20 + i), true));
      Image mask(kSize, kSize, 1);
      for (int y = 24; y < 40; ++y)
        for (int x = 24; x < 40; ++x) mask.at(x, y)[0] = 255;
      put("ground_truth/square", i, mask);
    }
    write_atomically(vae, std::string_view(trained_vae()));
    ParameterStore<Cpu> other;
    InitSource source(1);
    auto config = ResNetConfig::named("resnet18");
    config.width = 8;
    const ResNet<Cpu> resnet(Params<Cpu>(other, source), config);
    save_parameters(other, extractor, {});
  }

  TrainRequest request(const char* model = "model") const {
    TrainRequest r;
    r.category = "stripes";
    for (const auto& s : open_dataset(data, "stripes").train) r.good.push_back(s.image);
    r.vae = vae, r.extractor = extractor, r.model = folder / model;
    r.settings.image_size = kSize;
    r.settings.base = 32;
    r.settings.multipliers = {1, 1};
    r.settings.attention = {2};
    r.settings.heads = 2;
    r.settings.iterations = 6;
    r.settings.batch = 3;
    r.settings.k = 2;
    r.settings.steps = 2;
    r.settings.T_max = 80;
    r.settings.eta2 = 4;
    return r;
  }
  fs::path train(const TrainRequest& r, TrainEvents events = {}) const {
    Context<Cpu> ctx({.threads = 2});
    Trainer<Cpu>(ctx, r, std::move(events)).run();
    return r.model;
  }
};

std::vector<float> photo(bool faulty) { return to_input(stripes(33, faulty), kSize); }

float score(const fs::path& model) {
  Context<Cpu> ctx({.threads = 2});
  return Detector<Cpu>(ctx, model)(photo(true)).score;
}

}  // namespace

TEST_CASE("a model is trained, found again and finds what is wrong") {
  const Place place;
  std::set<std::string> stages;
  TrainEvents events;
  events.progress = [&](const char* stage, std::int64_t done, std::int64_t total, const std::string&) {
    CHECK(done <= total);
    stages.insert(stage);
  };
  auto request = place.request();
  request.settings.gamma = 1;
  request.settings.iterations = 150;
  const auto model = place.train(request, events);
  CHECK(stages == std::set<std::string>{"encode", "train", "adapt", "condition", "calibrate"});
  for (const char* name :
       {"config.json", "unet.safetensors", "extractor.safetensors", "dic.safetensors", "calibration.json", "loss.csv",
        "loss.png", "events.out.tfevents.1.unet", "events.out.tfevents.2.adapt"})
    CHECK(fs::exists(model / name));

  Context<Cpu> ctx({.threads = 2});
  Detector<Cpu> detector(ctx, model);
  // After the first image no memory is taken for tensors.
  detector(photo(false));
  const auto growths = ctx.arena.growths();
  const auto allocations = Memory<Cpu>::allocations();
  for (int i = 0; i < 3; ++i) detector(photo(i % 2 == 0));
  CHECK(ctx.arena.growths() == growths);
  CHECK(Memory<Cpu>::allocations() == allocations);

  const auto found = detector(std::vector{photo(false), photo(true), photo(false)});
  CHECK(found[0].score == doctest::Approx(found[2].score).epsilon(1e-4));
  CHECK(found[1].score > 1.2f * found[0].score);
  const auto alone = detector(photo(true));
  CHECK(alone.score == doctest::Approx(found[1].score).epsilon(1e-4));
  CHECK(alone.map.size() == kSize * kSize);
  // The most suspicious place is in or at the square (blurred over a few pixels).
  const auto at = std::max_element(alone.map.begin(), alone.map.end()) - alone.map.begin();
  CHECK(std::abs(at % kSize - 32) < 20);
  CHECK(std::abs(at / kSize - 32) < 20);

  // Photographs of other sizes, resized on the device: the same as what was resized before.
  const std::vector<Image> photos{stripes(33, false), stripes(33, true), resize(stripes(33, true), 150, 97)};
  std::vector<std::vector<float>> inputs;
  for (const Image& p : photos) inputs.push_back(to_input(p, kSize));
  const auto expected = detector(inputs), seen = detector(photos);
  REQUIRE(seen.size() == 3);
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(seen[i].input == inputs[i]);
    CHECK(seen[i].score == expected[i].score);
    CHECK(seen[i].map == expected[i].map);
    CHECK(seen[i].reconstruction == expected[i].reconstruction);
  }
  const auto still = Memory<Cpu>::allocations();
  detector(photos);
  CHECK(Memory<Cpu>::allocations() == still);
  CHECK(contains(refusal([&] { detector(std::vector<Image>{}); }), "there are no images"));
  CHECK(contains(refusal([&] { detector(std::vector{Image(8, 8, 1)}); }), "8 x 8 x 1"));
  CHECK(contains(refusal([&] { detector(std::vector{Image()}); }), "0 x 0 x 3"));
  Image cut(8, 8, 3);
  cut.pixels.pop_back();
  CHECK(contains(refusal([&] { detector(std::vector{cut}); }), "191 bytes"));

  // Evaluation: a row for the category and one for its defect, for each protocol; a bad image is passed over.
  write_atomically(place.data / "stripes/test/good/broken.png", std::string_view("broken"));
  Image wrong(kSize / 2, kSize, 1);
  write_png(place.data / "stripes/ground_truth/square/2_mask.png", wrong);
  Report report(detector);
  EvaluationOptions options{.batch = 4, .baselines = true};
  options.each = [&](const Sample& sample, const Detection& d) { report.add(sample, d); };
  const auto result = evaluate(detector, open_dataset(place.data, "stripes"), options);
  CHECK(result.images.size() == 5);
  REQUIRE(result.skipped.size() == 2);
  CHECK(contains(result.skipped[0], "broken.png"));
  CHECK(contains(result.skipped[1], "2_mask.png' is 32 x 64, its image 64 x 64"));
  CHECK(result.rows.size() == 8);
  for (const auto& row : result.rows) {
    CAPTURE(row.protocol);
    CHECK(row.images == 5);
    CHECK_UNARY(row.i_auroc >= 0 && row.i_auroc <= 1);
    CHECK_UNARY(row.p_auroc >= 0 && row.p_auroc <= 1);
    if (row.protocol == "baseline_mean_image") CHECK(row.p_auroc > 0.95);
  }
  CHECK(mean_rows(result.rows).size() == 4);
  CHECK(result.curves.size() == 4);

  // The report: an article for each image, the truth for those with a mask, nothing from outside.
  const auto page = report.html(result, {.program = "test", .data = "<data>"});
  const auto times = [&](const std::string& text) {
    int count = 0;
    for (auto i = page.find(text); i != std::string::npos; i = page.find(text, i + 1)) ++count;
    return count;
  };
  CHECK(times("<article") == 5);
  CHECK(times("<figcaption>truth") == 2);
  CHECK(times("src=") == times("src=\"data:image/jpeg;base64,"));
  CHECK(times("http") == 0);
  CHECK(times("<svg") == 6);
  CHECK(contains(page, "baseline: mean good image"));
  CHECK(contains(page, "&lt;data&gt;"));
  CHECK(contains(page, "broken.png"));
  CHECK_THROWS_AS(Report(detector).html(result, {}), Error);
}

TEST_CASE("the same seed gives the same model, another seed another one; a stopped training goes on to the same") {
  const Place place;
  const auto bytes = [](const fs::path& model) { return read_file(model / "unet.safetensors", 1 << 28); };
  const auto whole = place.train(place.request("a"));
  CHECK(bytes(place.train(place.request("b"))) == bytes(whole));
  auto other = place.request("c");
  other.settings.seed = 1;
  CHECK(bytes(place.train(other)) != bytes(whole));

  // Stopped at every stage in turn, and started again each time.
  for (int patience : {0, 3, 8, 10, 11, 12}) {
    CAPTURE(patience);
    const auto request = place.request(("stopped" + std::to_string(patience)).c_str());
    TrainEvents events;
    int asked = 0;
    events.stop = [&] { return asked++ >= patience; };
    CHECK_THROWS_AS(place.train(request, events), Interrupted);
    CHECK(contains(refusal([&] { score(request.model); }), "its training is not finished"));
    CHECK(bytes(place.train(request)) == bytes(whole));
    CHECK(score(request.model) == score(whole));
  }
}

TEST_CASE("a checkpoint of other settings is refused, a damaged latent file is made again") {
  const Place place;
  const auto model = place.train(place.request());
  auto other = place.request();
  other.settings.learning_rate = 1e-3;
  CHECK(contains(refusal([&] { place.train(other); }), "is a checkpoint of a training with other images or settings"));
  write_atomically(model / "work/latents.safetensors", std::string_view("nonsense"));
  std::string notes;
  TrainEvents events;
  events.note = [&](const std::string& note) { notes += note; };
  place.train(place.request(), events);
  CHECK(contains(notes, "is damaged, encoding again"));
}

TEST_CASE("a damaged or mixed model is refused with the reason") {
  const Place place;
  const auto model = place.train(place.request());
  const auto kept = place.folder / "kept";
  fs::copy(model, kept, fs::copy_options::recursive);
  const auto after = [&](auto change) {
    fs::remove_all(model);
    fs::copy(kept, model, fs::copy_options::recursive);
    change();
    return refusal([&] { score(model); });
  };
  CHECK(after([] {}) == "");
  for (const char* name : {"unet.safetensors", "extractor.safetensors", "dic.safetensors", "calibration.json"}) {
    CAPTURE(name);
    CHECK(contains(after([&] { fs::remove(model / name); }), name));
    CHECK(contains(after([&] { fs::resize_file(model / name, fs::file_size(model / name) - 1); }), "another checksum"));
  }
  CHECK(contains(after([&] { write_atomically(model / "config.json", std::string_view("{")); }), "is not valid JSON"));
  CHECK(contains(after([&] { write_atomically(model / "config.json", std::string_view("{}")); }),
                 "is not a model's configuration"));
  CHECK(contains(after([&] { fs::remove(model / "config.json"); }), "its training is not finished"));
  CHECK(contains(after([&] { fs::remove(place.vae); }), "its VAE"));
}

TEST_CASE("a detector with weights in bfloat16 gives nearly the same score") {
  const Place place;
  const auto model = place.train(place.request());
  Context<Cpu> ctx({.threads = 2});
  Detector<Cpu> narrow(ctx, model, [](Settings& s) { s.weights = "bfloat16"; });
  const float wide = score(model), rounded = narrow(photo(true)).score;
  CHECK(rounded == doctest::Approx(wide).epsilon(0.05));
  CHECK(rounded != wide);
  CHECK(contains(refusal([&] { Detector<Cpu>(ctx, model, [](Settings& s) { s.weights = "int8"; }); }),
                 "weights is 'int8', expected float or bfloat16"));
}

TEST_CASE("a copied VAE makes a model that can be moved") {
  const Place place;
  auto request = place.request();
  request.copy_vae = true;
  const auto model = place.train(request);
  const auto before = score(model);
  fs::remove(place.vae);
  fs::rename(model, place.folder / "elsewhere");
  CHECK(score(place.folder / "elsewhere") == before);
}

TEST_CASE("one good image, identical ones, bad ones and NaN in the weights") {
  const Place place;
  auto one = place.request("one");
  one.good.resize(1);
  place.train(one);
  CHECK(std::isfinite(score(one.model)));
  auto same = place.request("same");
  same.good.assign(5, same.good.front());
  place.train(same);
  CHECK(std::isfinite(score(same.model)));
  auto none = place.request("none");
  none.good.clear();
  CHECK(contains(refusal([&] { place.train(none); }), "there are no good images"));
  auto bad = place.request("bad");
  write_atomically(place.folder / "bad.png", std::string_view("bad"));
  bad.good.push_back(place.folder / "bad.png");
  CHECK(contains(refusal([&] { place.train(bad); }), "bad.png"));

  // The last number of the extractor's file is NaN.
  const std::uint32_t nan = 0x7fc00000;
  std::fstream file(place.extractor, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(-4, std::ios::end);
  file.write(reinterpret_cast<const char*>(&nan), 4);
  file.close();
  CHECK(contains(refusal([&] { place.train(place.request("nan")); }), "nan"));
}

TEST_CASE("held-back images change the calibration and nothing that is learned") {
  const Place place;
  auto request = place.request();
  request.good.resize(5);
  request.settings.held_back = 0.4;
  request.settings.iterations = 2;
  const auto files = [&](const char* name) {
    request.model = place.folder / name;
    place.train(request);
    std::map<std::string, std::string> sha;
    for (const char* file : {"unet.safetensors", "dic.safetensors", "calibration.json"})
      sha[file] = file_sha256(request.model / file);
    return sha;
  };
  const auto before = files("before");
  const auto config = ModelFolder(request.model).read();
  CHECK(config.training_images == 3);
  CHECK(config.held_back_images == 2);
  Context<Cpu> ctx;
  CHECK(Detector<Cpu>(ctx, request.model).conditioning().images() == 3);
  CHECK(ModelFolder(request.model).read_calibration().images == 2);
  int held = 0;
  for (int i = 0; i < 5; ++i) {
    const auto path = request.good[static_cast<std::size_t>(i)];
    write_png(path, stripes(100 + static_cast<std::uint64_t>(i), true));
    const auto after = files(std::to_string(i).c_str());
    const bool learned = after.at("unet.safetensors") != before.at("unet.safetensors");
    CHECK(learned == (after.at("dic.safetensors") != before.at("dic.safetensors")));
    CHECK(after.at("calibration.json") != before.at("calibration.json"));
    held += !learned;
    write_png(path, stripes(static_cast<std::uint64_t>(i), false));
  }
  CHECK(held == 2);
  // An unreadable image is named before anything is learned, whichever part it falls in.
  for (int i = 0; i < 5; ++i) {
    auto broken = request;
    broken.model = place.folder / ("broken" + std::to_string(i));
    auto& path = broken.good[static_cast<std::size_t>(i)];
    path = place.folder / "broken.png";
    write_atomically(path, std::string_view("broken"));
    CHECK(contains(refusal([&] { place.train(broken); }), "broken.png"));
    CHECK_FALSE(fs::exists(broken.model / "unet.safetensors"));
  }
}

TEST_CASE("two trainings of one folder at once are refused") {
  const Place place;
  Context<Cpu> ctx({.threads = 1});
  const Trainer<Cpu> first(ctx, place.request(), {});
  CHECK(refusal([&] { Trainer<Cpu>(ctx, place.request(), {}); }) != "");
}

TEST_CASE("calibrating and adapting again change the later stages only") {
  const Place place;
  const auto request = place.request();
  const auto model = place.train(request);
  const auto before = file_sha256(model / "unet.safetensors");
  Context<Cpu> ctx({.threads = 2});
  auto change = request;
  change.settings.T_max = 200;
  Trainer<Cpu>(ctx, change, {}).calibrate();
  CHECK(file_sha256(model / "unet.safetensors") == before);
  CHECK(Detector<Cpu>(ctx, model).settings().T_max == 200);
  change.settings.gamma = 1;
  const auto extractor = file_sha256(model / "extractor.safetensors");
  Trainer<Cpu>(ctx, change, {}).adapt();
  CHECK(file_sha256(model / "extractor.safetensors") != extractor);
  CHECK(std::isfinite(score(model)));
}
