// golden/recognise.json, which weights_tools is tested on as well: what each checkpoint is recognised as, and those that
// are almost a known network and are refused.

#include "d3ad/models/recognise.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "d3ad/core/file.hpp"
#include "d3ad/model/networks.hpp"
#include "d3ad/weights/source.hpp"
#include "support/safetensors_bytes.hpp"
#include "support/temporary_folder.hpp"

namespace recognise_test {

using namespace d3ad;

namespace {

using Shapes = std::map<std::string, std::vector<std::int64_t>>;

// a.{b,c}.{0..1} stands for a.b.0, a.b.1, a.c.0 and a.c.1.
std::vector<std::string> expanded(const std::string& pattern) {
  const auto open = pattern.find('{'), close = pattern.find('}');
  if (open == std::string::npos) return {pattern};
  const std::string inside = pattern.substr(open + 1, close - open - 1);
  std::vector<std::string> each;
  if (const auto dots = inside.find(".."); dots != std::string::npos) {
    const int last = std::stoi(inside.substr(dots + 2));
    for (int i = std::stoi(inside); i <= last; ++i) each.push_back(std::to_string(i));
  } else {
    for (std::size_t begin = 0; begin <= inside.size();) {
      const auto end = std::min(inside.find(',', begin), inside.size());
      each.push_back(inside.substr(begin, end - begin));
      begin = end + 1;
    }
  }
  std::vector<std::string> names;
  for (const auto& one : each)
    for (auto& name : expanded(pattern.substr(0, open) + one + pattern.substr(close + 1)))
      names.push_back(std::move(name));
  return names;
}

void add(Shapes& shapes, const nlohmann::json& patterns, const std::string& prefix = "") {
  for (const auto& [pattern, dims] : patterns.items())
    for (const auto& name : expanded(pattern)) shapes[prefix + name] = dims.get<std::vector<std::int64_t>>();
}

std::string replaced(std::string name, const std::string& from, const std::string& to) {
  for (auto at = name.find(from); at != std::string::npos; at = name.find(from, at + to.size()))
    name.replace(at, from.size(), to);
  return name;
}

Shapes shapes_of(const nlohmann::json& table, const nlohmann::json& given) {
  const auto nothing = nlohmann::json::object(), none = nlohmann::json::array();
  const std::string prefix = given.value("prefix", "");
  Shapes all, out;
  add(all, table.at("checkpoints").at(given.at("of").get<std::string>()));
  for (const auto& [stored, dims] : all) {
    bool left_out = false;
    for (const auto& beginning : given.value("without", none))
      left_out = left_out || stored.starts_with(beginning.get<std::string>());
    if (left_out) continue;
    std::string name = stored;
    for (const auto& pair : given.value("renamed", none)) name = replaced(name, pair.at(0), pair.at(1));
    out[prefix + name] = dims;
  }
  add(out, given.value("with", nothing), prefix);
  add(out, given.value("beside", nothing));
  return out;
}

// Zeros in half precision.
std::shared_ptr<const Checkpoint> checkpoint_of(const Shapes& shapes) {
  auto header = nlohmann::json::object();
  std::int64_t end = 0;
  for (const auto& [name, dims] : shapes) {
    const std::int64_t begin = end;
    end += 2 * dims_size(dims);
    header[name] = {{"dtype", "F16"}, {"shape", dims}, {"data_offsets", {begin, end}}};
  }
  const std::string data(static_cast<std::size_t>(end), '\0');
  return std::make_shared<const Checkpoint>(
      SafetensorsFile(test::to_bytes(test::safetensors_text(header.dump(), data)), "x.safetensors"));
}

// Error unless the file is what it was recognised as, to the last tensor.
void read_all(const std::shared_ptr<const Checkpoint>& file, const Recognised& found) {
  FileSource source(file, found.prefix);
  source.note_missing();
  ParameterStore<Cpu> store;
  if (!make_recognised({store, source}, found)) fail(name(found.kind));
  source.check_all_read(may_stay_unread);
}

// The network and the spelling as the table calls them.
std::pair<std::string, std::string> in_words(const Recognised& found) {
  static const std::map<NetworkKind, std::string> kinds{{NetworkKind::unet, "unet"},
                                                        {NetworkKind::vae, "vae"},
                                                        {NetworkKind::tiny_vae, "tiny_vae"},
                                                        {NetworkKind::resnet, "resnet"}};
  static const std::map<std::string, std::string> spellings{
      {"the D3AD implementation's", "d3ad"},
      {"CompVis'", "compvis"},
      {"diffusers'", "diffusers"},
      {"diffusers', the old ones of the attention", "diffusers-old"},
      {"TAESD's", "taesd"},
      {"torchvision's and timm's", "torchvision"}};
  return {kinds.at(found.kind), spellings.at(found.spelling)};
}

}  // namespace

TEST_CASE("every checkpoint of the table is recognised or refused as the table says") {
  const auto table = nlohmann::json::parse(read_file(std::string(D3AD_GOLDEN) + "/recognise.json", 1 << 20));
  int recognised = 0, refused = 0;
  for (const auto& given : table.at("cases")) {
    CAPTURE(given.at("case").get<std::string>());
    const auto file = checkpoint_of(shapes_of(table, given));
    Recognised found;
    const std::string refusal = test::refusal([&] { read_all(file, found = recognise(*file)); });
    CAPTURE(refusal);
    if (given.contains("refused")) {
      CHECK_FALSE(refusal.empty());
      CHECK(test::contains(refusal, given["refused"].get<std::string>()));
      ++refused;
      continue;
    }
    CHECK(refusal.empty());
    if (!refusal.empty()) continue;
    CHECK(in_words(found) == std::pair<std::string, std::string>(given.at("network"), given.at("spelling")));
    for (const auto& [key, value] : given.at("config").items()) CHECK(found.config.at(key) == value);
    ++recognised;
  }
  CHECK_GT(recognised, 20);
  CHECK_GT(refused, 25);
}

}  // namespace recognise_test
