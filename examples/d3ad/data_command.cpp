// d3ad data: summarises a dataset and warns about problems.

#include <fmt/core.h>

#include <d3ad/data/dataset_check.hpp>
#include <d3ad/data/table.hpp>
#include <nlohmann/json.hpp>
#include <optional>

#include "colour.hpp"
#include "program.hpp"

namespace program {

namespace {

using namespace d3ad;
namespace fs = std::filesystem;

struct DataOptions {
  std::string data;
  std::vector<std::string> categories;
  bool json = false, quiet = false;
};

std::string sizes_text(const DatasetCheck& c) {
  std::string text;
  int shown = 0;
  for (const auto& [size, count] : c.sizes)
    if (shown++ < 3) text += concat(text.empty() ? "" : ", ", size.first, " x ", size.second);
  return c.sizes.size() > 3 ? concat(text, ", ... (", c.sizes.size(), ")") : text;
}

nlohmann::ordered_json json_of(const DatasetCheck& c) {
  nlohmann::ordered_json sizes = nlohmann::ordered_json::array();
  for (const auto& [size, count] : c.sizes)
    sizes.push_back({{"width", size.first}, {"height", size.second}, {"images", count}});
  return {
      {"category", c.category},        {"layout", name(c.layout)}, {"train", c.train},   {"test_good", c.good_tests},
      {"test_faulty", c.faulty_tests}, {"masks", c.masks},         {"tests", c.defects}, {"sizes", sizes},
      {"unreadable", c.unreadable},    {"warnings", c.warnings}};
}

int run(const DataOptions& o) {
  std::vector<std::string> categories = o.categories;
  const bool folder = fs::is_directory(o.data);
  if (categories.empty() && folder) categories = list_categories(o.data);
  if (categories.empty()) categories.push_back("");
  command_line::InterruptGuard guard;
  std::vector<DatasetCheck> found;
  for (const auto& category : categories) {
    const Dataset data = open_dataset(o.data, category);
    std::optional<command_line::Progress> progress;
    found.push_back(check_dataset(
        data,
        [&](std::int64_t done, std::int64_t total) {
          if (o.quiet) return;
          if (!progress) progress.emplace(data.category, total);
          progress->show(done);
        },
        [] { return command_line::InterruptGuard::interrupted(); }));
  }
  if (o.json) {
    nlohmann::ordered_json all = nlohmann::ordered_json::array();
    for (const auto& c : found) all.push_back(json_of(c));
    fmt::print("{}\n", all.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
  } else {
    std::vector<std::vector<std::string>> table{
        {"category", "layout", "train", "test good", "test faulty", "masks", "kinds of defect", "sizes"}};
    for (const auto& c : found)
      table.push_back({c.category, name(c.layout), std::to_string(c.train), std::to_string(c.good_tests),
                       std::to_string(c.faulty_tests), std::to_string(c.masks),
                       std::to_string(c.defects.size() - c.defects.count("good")), sizes_text(c)});
    fmt::print("{}", paint_table(align_columns(table), stdout));
    for (const auto& c : found) {
      for (const auto& u : c.unreadable)
        fmt::print("{}: {}\n", c.category, paint(Tone::bad, "cannot be used: " + u, stdout));
      for (const auto& w : c.warnings) fmt::print("{}: {}\n", c.category, paint(Tone::note, w, stdout));
    }
  }
  return std::any_of(found.begin(), found.end(), [](const auto& c) { return !c.unreadable.empty(); }) ? 2 : 0;
}

}  // namespace

void add_data(CLI::App& app, int& exit_code) {
  auto* command = app.add_subcommand(
      "data", "Summarise a dataset and warn about problems (duplicates, missing masks, mixed sizes)");
  auto o = std::make_shared<DataOptions>();
  command->add_option("DIR", o->data, "folder of categories (MVTec AD, VisA, BTAD), a folder or a list of good images")
      ->required();
  command->add_option("--category", o->categories, "categories in DIR; none: all of them");
  command->add_flag("--json", o->json, "JSON on stdout instead of a table");
  command->add_flag("--quiet", o->quiet, "no progress");
  command->footer(
      "Warns about copies between training and test, mixed sizes, masks that are missing, empty, of another size or "
      "of\n"
      "no image. Exit code: 0, or 2 if an image or mask cannot be read.");
  command->callback([o, &exit_code] { exit_code = run(*o); });
}

}  // namespace program
