// The kinds of reference files that need no network: schedule, resize, dic, anomaly_map, metrics.

#include <cmath>

#include "device.hpp"
#include "verify.hpp"

namespace program {

using namespace d3ad;

namespace {

const double kOnHost = Tolerances().no_layers;  // what is computed there is float, whatever --precision says

}  // namespace

void verify_schedule(const ReferenceFile& reference, Comparisons& all) {
  const Schedule schedule;
  const auto betas = reference.doubles("betas"), alpha_bar = reference.doubles("alpha_bar");
  std::vector<double> b, a;
  D3AD_CHECK(static_cast<int>(betas.size()) == schedule.steps() && alpha_bar.size() == betas.size() + 1, "'",
             reference.file->path(), "' is a schedule of ", betas.size(), " steps, ours has ", schedule.steps());
  for (int t = 0; t < schedule.steps(); ++t) b.push_back(schedule.beta(t));
  for (int t = -1; t < schedule.steps(); ++t) a.push_back(schedule.alpha_bar(t));
  all.add("betas", b, betas, kOnHost);
  all.add("alpha_bar", a, alpha_bar, kOnHost);
}

namespace {

Image image_of(const ReferenceFile& reference, const std::string& name) {
  const auto dims = reference.file->dims(name);
  D3AD_CHECK((dims.size() == 2 || (dims.size() == 3 && (dims[2] == 1 || dims[2] == 3))) &&
                 reference.file->dtype(name) == DType::u8 && dims[0] <= 20000 && dims[1] <= 20000,
             "'", reference.file->path(), "': '", name, "' is not an image (height x width x channels, U8)");
  Image image(static_cast<int>(dims[1]), static_cast<int>(dims[0]), dims.size() == 3 ? static_cast<int>(dims[2]) : 1);
  const auto bytes = reference.file->bytes(name);
  for (std::size_t i = 0; i < image.pixels.size(); ++i) image.pixels[i] = static_cast<std::uint8_t>(bytes[i]);
  return image;
}

std::vector<double> levels(const Image& image) { return {image.pixels.begin(), image.pixels.end()}; }

}  // namespace

void verify_resize(const ReferenceFile& reference, Comparisons& all) {
  for (const auto& name : reference.file->names()) {
    const bool numbered = name.starts_with("in."), mask = name == "mask.in";
    if (!numbered && !mask) continue;
    const std::string out = mask ? "mask.out" : "out." + name.substr(3);
    const Image want = image_of(reference, out), got = resize(image_of(reference, name), want.width, want.height);
    all.add_levels(out, levels(got), levels(want), 1);
  }
}

void verify_dic(const ReferenceFile& reference, Comparisons& all) {
  const auto rows = [&](const char* name) {
    const auto dims = reference.file->dims(name);
    const auto values = reference.file->floats(name);
    D3AD_CHECK(!dims.empty() && dims[0] > 0, "'", reference.file->path(), "': '", name, "' is empty");
    const auto length = static_cast<std::size_t>(dims_size(dims) / dims[0]);
    std::vector<std::vector<float>> out;
    for (std::size_t i = 0; i + length <= values.size() && length > 0; i += length)
      out.emplace_back(values.begin() + static_cast<std::ptrdiff_t>(i),
                       values.begin() + static_cast<std::ptrdiff_t>(i + length));
    return out;
  };
  const auto conditioning =
      ImplicitConditioning::fit(rows("train"), {.k = static_cast<int>(reference.number("k", 20)),
                                                .bins = static_cast<int>(reference.number("bins", 10)),
                                                .T_max = static_cast<int>(reference.number("T_max", 80))});
  const auto& state = conditioning.state();
  const auto doubles = [](const auto& values) { return std::vector<double>(values.begin(), values.end()); };
  all.add("train_mean_distance", doubles(state.distances), reference.doubles("train_mean_distance"), kOnHost);
  all.add("edges", doubles(state.edges), reference.doubles("edges"), kOnHost);
  all.add("histogram", doubles(diffusion::histogram(state.distances, state.edges)), reference.doubles("histogram"), 0);
  std::vector<double> distance, bin, T_hat;
  for (const auto& c : conditioning.query(rows("test"))) {
    distance.push_back(c.distance);
    bin.push_back(c.bin);
    T_hat.push_back(c.T_hat);
  }
  all.add("test_mean_distance", distance, reference.doubles("test_mean_distance"), kOnHost);
  all.add("bin", bin, reference.doubles("bin"), 0);
  all.add("T_hat", T_hat, reference.doubles("T_hat"), 0);
}

void verify_anomaly_map(const ReferenceFile& reference, Comparisons& all) {
  const auto size = static_cast<std::int64_t>(reference.number("size"));
  D3AD_CHECK(size >= 1 && size <= 4096, "'", reference.file->path(), "': a size of ", size, " is not sensible");
  const double allowed = reference.allowed.no_layers;
  on_device(reference.common, [&]<class Device>(Context<Device>& ctx) {
    // The layers the method looks at are 2 and 3; a file may name others in `layers`.
    std::vector<Value<Real<Device>, Device>> seen, expected;
    for (const char layer : reference.text("layers", "2,3")) {
      if (layer < '1' || layer > '9') continue;
      seen.push_back(reference.activations(ctx, std::string("feat_target.") + layer));
      expected.push_back(reference.activations(ctx, std::string("feat_rec.") + layer));
    }
    const auto latent =
        anomaly::latent_map(ctx, reference.weights_like(ctx, "z_rec"), reference.weights_like(ctx, "z0"), size);
    const auto feature = anomaly::feature_map(ctx, seen, expected, size);
    reference.compare(all, "latent_map", latent.view(), allowed);
    reference.compare(all, "feature_map", feature.view(), allowed);
    const auto ranges = anomaly::ranges_of(anomaly::to_host(std::vector{latent, feature}));
    const auto map = anomaly::combine(ctx, latent, feature, ranges, static_cast<float>(reference.number("lambda")),
                                      static_cast<float>(reference.number("sigma")));
    reference.compare(all, "anomaly_map", map.view(), allowed);
    const auto scores = anomaly::scores(ctx, map);
    all.add("score", std::vector<double>(scores.begin(), scores.end()), reference.doubles("score"), allowed);
  });
}

void verify_metrics(const ReferenceFile& reference, Comparisons& all) {
  // maps: "FILE:TENSOR", or a tensor of this file.
  const std::string where = reference.text("maps");
  const auto colon = where.rfind(':');
  std::shared_ptr<const SafetensorsFile> file = reference.file;
  if (colon != std::string::npos)
    file = std::make_shared<const SafetensorsFile>(reference.find(where.substr(0, colon)));
  const std::string tensor = colon == std::string::npos ? where : where.substr(colon + 1);
  const auto maps = file->floats(tensor);
  const auto dims = reference.file->dims("mask");
  D3AD_CHECK(dims.size() >= 3 && static_cast<std::int64_t>(maps.size()) == dims_size(dims), "'", reference.file->path(),
             "': ", maps.size(), " numbers of maps for masks of ", dims_text(dims));
  const std::int64_t h = dims[dims.size() - 2], w = dims.back(), n = dims_size(dims) / (h * w);
  const auto masks = reference.file->ints("mask");
  const auto label_values = reference.file->ints("label");
  const auto scores = reference.file->floats("score");
  std::vector<std::uint8_t> labels;
  for (const auto l : label_values) labels.push_back(l != 0);
  anomaly::PixelScores pixels;
  for (std::int64_t i = 0; i < n; ++i) {
    const auto first = static_cast<std::size_t>(i * h * w), count = static_cast<std::size_t>(h * w);
    std::vector<std::uint8_t> mask(count);
    for (std::size_t p = 0; p < count; ++p) mask[p] = masks[first + p] != 0;
    pixels.add(std::span(maps).subspan(first, count), mask, h, w);
  }
  const auto image = anomaly::rank_metrics(scores, labels);
  const auto pixel = pixels.metrics();
  const std::map<std::string, double> values{{"i_auroc", image.auroc},
                                             {"i_ap", image.average_precision},
                                             {"i_f1_at_youden", image.f1_youden},
                                             {"i_f1_max", image.f1_max},
                                             {"youden_threshold", image.youden_threshold},
                                             {"p_auroc", pixel.rank.auroc},
                                             {"p_ap", pixel.rank.average_precision},
                                             {"p_f1_at_youden", pixel.rank.f1_youden},
                                             {"p_f1_max", pixel.rank.f1_max},
                                             {"pro_200", pixel.pro_200},
                                             {"aupro_exact", pixel.aupro}};
  for (const auto& [name, value] : values)
    if (!reference.text(name, "").empty())
      all.add(name, std::vector<double>{value}, std::vector<double>{reference.number(name)}, kOnHost);
}

}  // namespace program
