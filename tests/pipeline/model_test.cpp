// The whole pipeline with small networks on a few generated images: training, its resuming, the model's folder,
// detection and evaluation; what goes wrong with them; memory that stands still.

#include <doctest/doctest.h>

#include <cmath>
#include <fstream>
#include <map>
#include <set>
#include <string>

#include "d3ad/methods/d3ad/method.hpp"
#include "d3ad/pipeline/train.hpp"
#include "d3ad/report/report.hpp"
#include "support/stripes.hpp"
#include "support/temporary_folder.hpp"

namespace model_test {

using namespace d3ad;
namespace fs = std::filesystem;
using test::contains, test::refusal, test::kSize, test::stripes, test::Place;

namespace {

Image photo(bool faulty) { return stripes(33, faulty); }
Frame frame(bool faulty) { return {kSize, kSize, to_input(photo(faulty), kSize)}; }

float score(const fs::path& model) {
  Context<Cpu> ctx({.threads = 2});
  return Detector<Cpu>(ctx, model)(photo(true)).score;
}

}  // namespace

namespace {

// A model that has learned enough to find the square; trained once, with the stages that training went through.
struct Trained {
  Place place;
  std::set<std::string> stages;
  fs::path model;

  Trained() {
    TrainEvents events;
    events.progress = [this](const char* stage, std::int64_t done, std::int64_t total, const std::string&) {
      CHECK(done <= total);
      stages.insert(stage);
    };
    auto request = place.request();
    request.settings.adaptation.gamma = 1;
    request.settings.training.iterations = 150;
    model = place.train(request, events);
  }
};
const Trained& trained() {
  static const Trained once;
  return once;
}

// The part of the pairs of a faulty and a good image in which the faulty one has the higher score; ties count half.
double pairs_in_order(const std::vector<ImageRow>& images, float ImageRow::*score) {
  double right = 0, pairs = 0;
  for (const auto& bad : images)
    for (const auto& good : images)
      if (bad.anomalous && !good.anomalous)
        ++pairs, right += bad.*score > good.*score ? 1 : bad.*score == good.*score ? 0.5 : 0;
  return right / pairs;
}

}  // namespace

TEST_CASE("training goes through its stages and leaves its files") {
  CHECK(trained().stages == std::set<std::string>{"encode", "train", "adapt", "condition", "calibrate"});
  for (const char* name :
       {"config.json", "unet.safetensors", "extractor.safetensors", "dic.safetensors", "calibration.json", "loss.csv",
        "loss.png", "events.out.tfevents.1.unet", "events.out.tfevents.2.adapt"})
    CHECK(fs::exists(trained().model / name));
}

TEST_CASE("a detector finds what is wrong, alone and in a batch, and its memory stands still") {
  Context<Cpu> ctx({.threads = 2});
  Detector<Cpu> detector(ctx, trained().model);
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
  CHECK(alone.attributes.at("T_hat") >= 8);
  CHECK(alone.attributes.at("T_hat") <= 80);
  CHECK(contains(refusal([&] { alone.attributes.at("colour"); }), "'colour'"));
  // The most suspicious place is in or at the square (blurred over a few pixels).
  const auto at = std::max_element(alone.map.begin(), alone.map.end()) - alone.map.begin();
  CHECK(std::abs(at % kSize - 32) < 20);
  CHECK(std::abs(at / kSize - 32) < 20);
}

TEST_CASE("photographs of other sizes, resized on the device, are the same as frames that were resized before") {
  Context<Cpu> ctx({.threads = 2});
  Detector<Cpu> detector(ctx, trained().model);
  const std::vector<Image> photos{stripes(33, false), stripes(33, true), resize(stripes(33, true), 150, 97)};
  std::vector<Frame> frames;
  for (const Image& p : photos) frames.push_back({kSize, kSize, to_input(p, kSize)});
  const auto expected = detector(frames), seen = detector(photos);
  REQUIRE(seen.size() == 3);
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(seen[i].input == frames[i].pixels);
    CHECK(seen[i].score == expected[i].score);
    CHECK(seen[i].map == expected[i].map);
    CHECK(seen[i].reconstruction == expected[i].reconstruction);
  }
  const auto still = Memory<Cpu>::allocations();
  detector(photos);
  CHECK(Memory<Cpu>::allocations() == still);
  CHECK(contains(refusal([&] { detector(std::vector<Image>{}); }), "there are no images"));
  CHECK(contains(refusal([&] { detector(std::vector<Frame>{}); }), "there are no images"));
  CHECK(contains(refusal([&] { detector(std::vector{Frame{8, 8, {}}}); }), "a frame of 8 x 8 with 0 numbers"));
  CHECK(contains(refusal([&] { detector(std::vector{Image(8, 8, 1)}); }), "8 x 8 x 1"));
  CHECK(contains(refusal([&] { detector(std::vector{Image()}); }), "0 x 0 x 3"));
  Image cut(8, 8, 3);
  cut.pixels.pop_back();
  CHECK(contains(refusal([&] { detector(std::vector{cut}); }), "191 bytes"));
}

TEST_CASE("evaluation has a row for the category and each defect by method and protocol, and a report") {
  const Place place;  // images of its own, of which some are broken
  write_atomically(place.data / "stripes/test/good/broken.png", std::string_view("broken"));
  Image wrong(kSize / 2, kSize, 1);
  write_png(place.data / "stripes/ground_truth/square/2_mask.png", wrong);
  Context<Cpu> ctx({.threads = 2});
  Detector<Cpu> detector(ctx, trained().model);
  Report report(detector);
  EvaluationOptions options{.batch = 4, .baselines = true};
  options.each = [&](const Sample& sample, const Detection& d) { report.add(sample, d); };
  const auto result = evaluate(detector, open_dataset(place.data, "stripes"), options);
  CHECK(result.images.size() == 5);
  REQUIRE(result.skipped.size() == 2);
  CHECK(contains(result.skipped[0], "broken.png"));
  CHECK(contains(result.skipped[1], "2_mask.png' is 32 x 64, its image 64 x 64"));
  std::vector<std::string> rows;
  for (const auto& row : result.rows) {
    rows.push_back(row.method + ' ' + row.protocol + ' ' + row.defect);
    CAPTURE(rows.back());
    CHECK(row.images == 5);
    if (row.method == "mean_image") CHECK(row.p_auroc > 0.95);
    if (row.method == "d3ad") {
      CHECK(row.i_auroc == doctest::Approx(pairs_in_order(
                               result.images, row.protocol == "paper" ? &ImageRow::paper_score : &ImageRow::score)));
      CHECK(row.p_auroc > 0.8);  // of a map without any sense it is 0.5
    }
  }
  CHECK(rows == std::vector<std::string>{"d3ad paper all", "d3ad paper square", "d3ad calibrated all",
                                         "d3ad calibrated square", "mean_image paper all", "mean_image paper square",
                                         "vae_only paper all", "vae_only paper square"});
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
  other.settings.training.learning_rate = 1e-3;
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
  request.settings.data.held_back = 0.4;
  request.settings.training.iterations = 2;
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
  CHECK(as_d3ad(Detector<Cpu>(ctx, request.model).method()).conditioning().images() == 3);
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
  change.settings.conditioning.T_max = 200;
  Trainer<Cpu>(ctx, change, {}).calibrate();
  CHECK(file_sha256(model / "unet.safetensors") == before);
  CHECK(Detector<Cpu>(ctx, model).settings().conditioning.T_max == 200);
  change.settings.adaptation.gamma = 1;
  const auto extractor = file_sha256(model / "extractor.safetensors");
  Trainer<Cpu>(ctx, change, {}).adapt();
  CHECK(file_sha256(model / "extractor.safetensors") != extractor);
  CHECK(std::isfinite(score(model)));
}

TEST_CASE("a model of tiles judges a large image tile by tile, and is evaluated at its map's resolution") {
  const Place place;
  constexpr int kWidth = 150, kHeight = 90, kX = 104, kY = 60, kSide = 14;
  const auto wide = [](std::uint64_t seed, bool faulty) {
    Image image(kWidth, kHeight, 3);
    const Rng rng(seed, 1);
    for (int y = 0; y < kHeight; ++y)
      for (int x = 0; x < kWidth; ++x) {
        float v = 90 + 40 * std::sin(0.4f * static_cast<float>(x)) +
                  10 * rng.uniform(static_cast<std::uint64_t>(y * kWidth + x));
        if (faulty && x >= kX && x < kX + kSide && y >= kY && y < kY + kSide) v = (x / 4 + y / 4) % 2 ? 250.0f : 0.0f;
        std::fill_n(image.at(x, y), 3, static_cast<std::uint8_t>(v));
      }
    return image;
  };
  const auto folder = place.data / "wide";
  for (const char* name : {"train/good", "test/good", "test/square", "ground_truth/square"})
    create_folders(folder / name);
  for (std::uint64_t i = 0; i < 5; ++i) write_png(folder / concat("train/good/", i, ".png"), wide(i, false));
  for (std::uint64_t i = 0; i < 2; ++i) {
    write_png(folder / concat("test/good/", i, ".png"), wide(10 + i, false));
    write_png(folder / concat("test/square/", i, ".png"), wide(20 + i, true));
    Image mask(kWidth, kHeight, 1);
    for (int y = kY; y < kY + kSide; ++y) std::fill_n(mask.at(kX, y), kSide, std::uint8_t{255});
    write_png(folder / concat("ground_truth/square/", i, "_mask.png"), mask);
  }
  auto request = place.request();
  request.good.clear();
  for (const auto& s : open_dataset(place.data, "wide").train) request.good.push_back(s.image);
  request.settings.data.tile = kSize, request.settings.training.iterations = 20, request.settings.adaptation.gamma = 1;
  std::string notes;
  TrainEvents events;
  events.note = [&](const std::string& text) { notes += text + '\n'; };
  const auto model = place.train(request, events);
  CHECK(contains(notes, "tiles: 24 out of 4 images"));  // three across, two down
  CHECK(ModelFolder(model).read_conditioning(1).images() == 24);
  CHECK(ModelFolder(model).read_calibration().images == 1);

  Context<Cpu> ctx({.threads = 2});
  Detector<Cpu> detector(ctx, model);
  const Detection good = detector(wide(33, false)), bad = detector(wide(33, true));
  CHECK(bad.width == kWidth);
  CHECK(bad.height == kHeight);
  CHECK(bad.map.size() == kWidth * kHeight);
  CHECK(bad.input == to_input(wide(33, true), kWidth, kHeight));
  CHECK(bad.reconstruction.size() == bad.input.size());
  REQUIRE(bad.tiles.size() == 6);
  CHECK(bad.tiles.back().x == kWidth - kSize);
  CHECK(bad.tiles.back().y == kHeight - kSize);
  for (const auto& tile : bad.tiles) CHECK(tile.attributes[1] <= bad.attributes.at("distance"));
  // The square is seen by the tiles that hold it, and changes nothing where only others are.
  float seen = 0, elsewhere = 0;
  for (std::size_t i = 0; i < bad.map.size(); ++i) {
    const float change =
        std::abs(bad.raw.maps[0][i] - good.raw.maps[0][i]) + std::abs(bad.raw.maps[1][i] - good.raw.maps[1][i]);
    float& most = static_cast<int>(i % kWidth) < bad.tiles[1].x ? elsewhere : seen;
    most = std::max(most, change);
  }
  CHECK(bad.tiles[1].x < kX);
  CHECK(bad.tiles[0].x + kSize < kX);
  CHECK(elsewhere == 0);
  CHECK(seen > 1e-3f);
  // Another batch of tiles is the same to rounding; frames are the same as photographs; memory stands still.
  detector.set_tiles(1, [](int, int) {});
  const Tiling tiling = detector.tiling();
  const auto framed = detector(std::vector{tiling.frame(wide(33, true)), tiling.frame(wide(33, false))});
  CHECK(framed[0].score == doctest::Approx(bad.score).epsilon(1e-4));
  CHECK(framed[1].score == doctest::Approx(good.score).epsilon(1e-4));
  const auto still = Memory<Cpu>::allocations();
  detector(std::vector{tiling.frame(wide(34, true))});
  CHECK(Memory<Cpu>::allocations() == still);
  detector.set_tiles(4, [](int done, int) { D3AD_CHECK(done == 0, "stop here"); });
  CHECK(contains(refusal([&] { detector(wide(33, true)); }), "stop here"));
  detector.set_tiles(4, [](int, int) {});
  CHECK(
      contains(refusal([&] { detector.upload(std::vector{frame(true)}); }), "this model looks at tiles of 64 pixels"));
  CHECK(contains(refusal([&] { detector(std::vector{Image(8, 8, 1)}); }), "8 x 8 x 1"));
  CHECK(contains(refusal([&] { detector(std::vector{Frame{8, 8, {}}}); }), "a frame of 8 x 8 with 0 numbers"));
  CHECK(contains(refusal([&] { detector.set_tiles(0, [](int, int) {}); }), "a batch of 0 tiles"));

  // Evaluation compares at the map's resolution, that of the images here.
  Report report(detector);
  EvaluationOptions options;
  options.each = [&](const Sample& sample, const Detection& d) { report.add(sample, d); };
  const auto result = evaluate(detector, open_dataset(place.data, "wide"), options);
  REQUIRE(result.rows.size() == 4);
  anomaly::PixelScores pixels;
  for (const auto& sample : open_dataset(place.data, "wide").test)
    pixels.add(detector(read_image(sample.image)).map,
               sample.mask ? to_mask(sample_mask(sample), kWidth, kHeight) : std::vector<std::uint8_t>(), kHeight,
               kWidth);
  const double by_hand = pixels.metrics().rank.auroc;
  for (const auto& row : result.rows)
    if (row.protocol == "calibrated" && row.defect == "all")
      CHECK(row.p_auroc == doctest::Approx(by_hand).epsilon(1e-6));
  CHECK(contains(report.html(result, {.program = "test", .data = "wide"}), "<figcaption>truth"));
  options.baselines = true;
  CHECK(contains(refusal([&] { evaluate(detector, open_dataset(place.data, "wide"), options); }), "whole images"));
}

}  // namespace model_test
