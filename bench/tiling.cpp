// What tiling gains: metrics of models at the resolution of the images themselves, so that they can be compared.
//
//   tiling --data data --category ballscrew --model whole --model tiles [--batch 4] [--threads N]
//
// Each model's maps, of whole images or of tiles, are enlarged (or reduced) to the size of the image they belong to and
// compared with its mask as it is; image scores are the maps' maxima before that. Prints image AUROC, pixel AUROC, PRO
// (200 thresholds) and AUPRO in percent under the paper's protocol and calibrated; pixel AUROC and PRO also for the
// smaller half of the defects (images by the number of faulty pixels) against all good images; and seconds an image.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <d3ad/d3ad.hpp>
#include <string>
#include <utility>
#include <vector>

#include "../examples/command_line.hpp"

using namespace d3ad;

namespace {

struct JudgedImage {
  int width = 0, height = 0;  // of the image
  std::vector<std::uint8_t> mask;
  std::int64_t faulty_pixels = 0;
  bool anomalous = false;
  float calibrated = 0;
  anomaly::RawMaps raw;
};

std::vector<float> enlarged(Context<Cpu>& ctx, const std::vector<float>& map, const anomaly::RawMaps& raw, int width,
                            int height) {
  auto small = make_value<float>(ctx, {1, raw.h, raw.w, 1}), large = make_value<float>(ctx, {1, height, width, 1});
  copy_from_host(small.view(), map.data());
  ops::bilinear_align_corners(ctx, large.view(), small.view());
  std::vector<float> out(static_cast<std::size_t>(large.shape().size()));
  copy_to_host(out.data(), View<const float, Cpu>(large.view()));
  return out;
}

void judge(Context<Cpu>& ctx, const std::string& model, const Dataset& dataset, int batch) {
  Detector<Cpu> detector(ctx, model);
  detector.set_tiles(batch, [](int, int) {});
  std::vector<std::filesystem::path> paths;
  for (const auto& s : dataset.test) paths.push_back(s.image);
  ImageLoader loader(paths, detector.tiling());
  std::vector<JudgedImage> all;
  double seconds = 0;
  for (std::size_t i = 0; i < paths.size(); ++i) {
    auto item = loader.next();
    D3AD_CHECK(item.error.empty(), item.error);
    JudgedImage j{.width = item.width, .height = item.height, .mask = {}, .raw = {}};
    const Sample& sample = dataset.test[i];
    j.anomalous = sample.anomalous();
    if (sample.mask) j.mask = to_mask(sample_mask(sample), j.width, j.height);
    j.faulty_pixels = std::count(j.mask.begin(), j.mask.end(), std::uint8_t{1});
    std::vector<Frame> frames;
    frames.push_back({item.frame_width, item.frame_height, std::move(item.pixels)});
    const auto start = std::chrono::steady_clock::now();
    auto found = detector(std::move(frames), i);
    seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    j.calibrated = found.front().score;
    j.raw = std::move(found.front().raw);
    all.push_back(std::move(j));
    std::fprintf(stderr, "\r%s: %zu of %zu", model.c_str(), i + 1, paths.size());
  }
  std::fprintf(stderr, "\n");
  std::vector<anomaly::RawMaps> raw;
  std::vector<std::int64_t> sizes;
  for (const auto& j : all) {
    raw.push_back(j.raw);
    if (j.faulty_pixels) sizes.push_back(j.faulty_pixels);
  }
  D3AD_CHECK(!sizes.empty(), "there are no faulty images with a mask");
  std::nth_element(sizes.begin(), sizes.begin() + static_cast<std::ptrdiff_t>(sizes.size() / 2), sizes.end());
  const std::int64_t median = sizes[sizes.size() / 2];
  const auto of_test_set = anomaly::ranges_of(raw);
  for (const bool paper : {true, false}) {
    anomaly::Ranking images;
    anomaly::PixelScores pixels, small;
    for (const auto& j : all) {
      const auto map = detector.map_with(j.raw, paper ? of_test_set : detector.ranges());
      images.add(*std::max_element(map.begin(), map.end()), j.anomalous);
      const auto whole = enlarged(ctx, map, j.raw, j.width, j.height);
      if (j.anomalous && j.mask.empty()) continue;
      pixels.add(whole, j.mask, j.height, j.width);
      if (j.faulty_pixels < median) small.add(whole, j.mask, j.height, j.width);
    }
    images.sort();
    const auto p = pixels.metrics(), s = small.metrics();
    std::printf("%s,%s,%.1f,%.1f,%.1f,%.1f,%.1f,%.1f,%.2f\n", model.c_str(), paper ? "paper" : "calibrated",
                100 * anomaly::rank_metrics(images).auroc, 100 * p.rank.auroc, 100 * p.pro_200, 100 * p.aupro,
                100 * s.rank.auroc, 100 * s.pro_200, seconds / static_cast<double>(all.size()));
    std::fflush(stdout);
  }
}

}  // namespace

int main(int argc, char** argv) try {
  std::string data, category;
  std::vector<std::string> models;
  int batch = 4, threads = 0;
  CLI::App app("What tiling gains, at the images' own resolution");
  app.name("tiling");
  app.add_option("--model", models, "folders of trained models")->required();
  app.add_option("--data", data, "folder of categories in MVTec AD's layout")->required();
  app.add_option("--category", category, "category in --data")->required();
  app.add_option("--batch", batch, "tiles computed together")->check(CLI::Range(1, 1024))->capture_default_str();
  app.add_option("--threads", threads, "threads, 0: one for each core")->capture_default_str();
  if (const auto code = command_line::parse(app, argc, argv)) return *code;
  Context<Cpu> ctx({.threads = threads});
  const Dataset dataset = open_dataset(data, category);
  std::printf("model,protocol,i_auroc,p_auroc,pro,aupro,small_p_auroc,small_pro,seconds\n");
  for (const auto& model : models) judge(ctx, model, dataset, batch);
} catch (const std::exception& error) {
  std::fprintf(stderr, "tiling: %s\n", error.what());
  return 2;
}
