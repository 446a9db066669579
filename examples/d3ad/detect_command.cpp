// d3ad detect: is each image faulty, and where?

#include <fmt/core.h>

#include <d3ad/data/dataset.hpp>
#include <d3ad/data/image_loader.hpp>
#include <d3ad/data/table.hpp>
#include <d3ad/detect.hpp>
#include <d3ad/draw/picture.hpp>
#include <d3ad/pipeline/for_each_detection.hpp>
#include <nlohmann/json.hpp>
#include <optional>

#include "attributes.hpp"
#include "colour.hpp"
#include "device.hpp"
#include "program.hpp"

namespace program {

namespace {

using namespace d3ad;
namespace fs = std::filesystem;

struct DetectOptions {
  std::string model, out, format = "text";
  std::vector<fs::path> images;
  bool heat = false, overlay = false, mask = false, panel = false;
  int batch = 4;
  std::string threshold;
  SettingsOptions settings;
  CommonOptions common;
};

// Pictures next to each other under the image's name; two images of one name get different ones.
class Pictures {
 public:
  template <class Device>
  Pictures(const DetectOptions& o, const Detector<Device>& detector)
      : o_(o), brightest_(detector.brightest()), threshold_(detector.calibration().threshold) {
    if (any()) create_folders(o.out);
  }
  bool any() const { return o_.heat || o_.overlay || o_.mask || o_.panel; }

  // The names written, by kind.
  std::map<std::string, std::string> write(const fs::path& image, const Detection& d) {
    std::map<std::string, std::string> names;
    if (!any()) return names;
    std::string base = image.stem().string();
    if (const int again = seen_[base]++; again > 0) base += "-" + std::to_string(again + 1);
    const auto save = [&](const char* kind, const Image& picture) {
      const auto path = fs::path(o_.out) / (base + "." + kind + ".png");
      write_png(path, picture);
      names[kind] = path.string();
    };
    const float hi = brightest_, threshold = threshold_;
    const int width = d.width, height = d.height;
    if (o_.heat) save("heat", draw::heat_map(d.map, width, height, 0, hi));
    if (o_.overlay) save("overlay", draw::overlay(to_image(d.input, width, height), d.map, 0, hi, threshold));
    if (o_.mask) save("mask", draw::mask_picture(d.map, width, height, threshold));
    if (o_.panel)
      save("panel",
           draw::side_by_side(draw::detection_panels(d.input, d.reconstruction, d.map, width, height, hi, threshold),
                              draw::panel_captions(!d.reconstruction.empty())));
    return names;
  }

 private:
  const DetectOptions& o_;
  float brightest_, threshold_;
  std::map<std::string, int> seen_;
};

void print(const DetectOptions& o, const std::string& file, const Detection& d,
           const std::map<std::string, std::string>& pictures) {
  const char* verdict = d.faulty ? "faulty" : "good";
  const auto& attributes = *d.attributes.described;
  if (o.format == "jsonl") {
    nlohmann::ordered_json json = {{"file", file}, {"score", d.score}, {"verdict", verdict}};
    for (std::size_t a = 0; a < attributes.size(); ++a) {
      if (!attributes[a].listed) continue;
      const float value = d.attributes.values[a];
      json[attributes[a].name] =
          attributes[a].whole ? nlohmann::ordered_json(std::lround(value)) : nlohmann::ordered_json(value);
    }
    for (const auto& [kind, name] : pictures) json[kind] = name;
    fmt::print("{}\n", json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  } else if (o.format == "csv") {
    std::vector<std::string> fields{file, number(d.score), verdict};
    for (std::size_t a = 0; a < attributes.size(); ++a)
      if (attributes[a].brief) fields.push_back(number(d.attributes.values[a]));
    fmt::print("{}", csv_row(fields));
  } else {
    fmt::print("{}  score {}  {}{}\n",
               d.faulty ? paint(Tone::bad, "FAULTY", stdout) : paint(Tone::good, "good  ", stdout), fixed(d.score, 4),
               brief_text(d.attributes, "  "), file);
  }
  std::fflush(stdout);
}

template <class Device>
int run(Context<Device>& ctx, const DetectOptions& o) {
  Detector<Device> detector(ctx, o.model, [&](Settings& s) { o.settings.apply(s); });
  if (!o.threshold.empty()) {
    float value = 0;
    const auto [end, error] = std::from_chars(o.threshold.data(), o.threshold.data() + o.threshold.size(), value);
    D3AD_CHECK(error == std::errc() && end == o.threshold.data() + o.threshold.size() && std::isfinite(value),
               "--threshold ", o.threshold, ": expected a number");
    detector.set_threshold(value);
  }
  const auto paths = collect_images(o.images);
  D3AD_CHECK(!paths.empty(), "detect: no images were given");
  Pictures pictures(o, detector);
  command_line::InterruptGuard guard;
  ImageLoader loader(paths, detector.tiling());
  if (o.format == "csv") {
    std::vector<std::string> header{"file", "score", "verdict"};
    for (const auto& attribute : detector.method().info().attributes)
      if (attribute.brief) header.push_back(attribute.name);
    fmt::print("{}", csv_row(header));
  }

  int faulty = 0, unread = 0;
  std::size_t done = 0;
  const auto stop_here = [&] {
    if (guard.interrupted()) throw Interrupted(concat("stopped after ", done, " of ", paths.size(), " images"));
  };
  detector.set_tiles(o.batch, [&](int, int) { stop_here(); });
  const auto take = [&](std::size_t, ImageLoader::Item item) -> std::optional<Frame> {
    stop_here();
    if (item.error.empty()) return Frame{item.frame_width, item.frame_height, std::move(item.pixels)};
    std::fprintf(stderr, "d3ad: %s\n", item.error.c_str());
    ++unread;
    return std::nullopt;
  };
  const auto found = [&](const std::vector<std::size_t>& images, const std::vector<Detection>& detections) {
    for (std::size_t i = 0; i < images.size(); ++i) {
      const fs::path& name = paths[images[i]];
      print(o, name.string(), detections[i], pictures.write(name, detections[i]));
      faulty += detections[i].faulty;
    }
    done += images.size();
  };
  for_each_detection(detector, loader, paths.size(), {.batch = o.batch}, take, found);
  if (!o.common.quiet && paths.size() > 1)
    fmt::print(stderr, "{} images: {} faulty, {} good, {} not read\n", paths.size(), faulty,
               paths.size() - static_cast<std::size_t>(faulty + unread), unread);
  return unread ? 2 : faulty ? 1 : 0;
}

}  // namespace

void add_detect(CLI::App& app, int& exit_code) {
  auto* command = app.add_subcommand("detect", "say for each image how wrong it is, and show where");
  auto o = std::make_shared<DetectOptions>();
  command->add_option("--model", o->model, "folder of a trained model")->required();
  command->add_option("IMAGE", o->images, "images, folders of images, or lists (.txt, a path a line)")->required();
  command->add_option("--format", o->format, "what stdout gets: text, jsonl or csv")
      ->check(CLI::IsMember({"text", "jsonl", "csv"}))
      ->capture_default_str();
  command->add_flag_callback(
      "--json", [o] { o->format = "jsonl"; }, "as --format jsonl: a JSON object a line");
  command->add_option("--out", o->out, "folder for pictures")->default_val("detections")->capture_default_str();
  command->add_flag("--heat", o->heat, "write NAME.heat.png, the anomaly map");
  command->add_flag("--overlay", o->overlay, "write NAME.overlay.png, the map over the image, faulty regions outlined");
  command->add_flag("--mask", o->mask, "write NAME.mask.png, white where faulty");
  command->add_flag("--panel", o->panel, "write NAME.panel.png: input, reconstruction, map and overlay side by side");
  command->add_option("--batch", o->batch, "Batch size, in images (tiles for tiled models)")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  command->add_option("--threshold", o->threshold, "score above which an image is faulty, instead of the model's own");
  o->settings.add(*command, SettingsOptions::Part::detection);
  o->common.add(*command);
  command->footer(
      "Exit code: 0 all images are good, 1 some are faulty, 2 an error (an image that cannot be read is reported,\n"
      "the others are processed). Of a model of tiles (train --tile), T is that of the tile farthest from the good "
      "ones.");
  command->callback([o, &exit_code] { on_device(o->common, [&](auto& ctx) { exit_code = run(ctx, *o); }); });
}

}  // namespace program
