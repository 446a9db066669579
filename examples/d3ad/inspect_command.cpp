// d3ad inspect: what a file of weights holds, which known network it is, what is missing or left over.

#include <fmt/core.h>

#include <d3ad/data/table.hpp>
#include <d3ad/model/networks.hpp>
#include <d3ad/models/recognise.hpp>
#include <set>

#include "program.hpp"

namespace program {

namespace {

using namespace d3ad;

// A source that notes what a network asks for, and gives zeros: only names and shapes matter here.
class Listing : public WeightSource {
 public:
  explicit Listing(const FileSource& file) : file_(file) {}
  bool has(const std::string& name) const override { return file_.has(name); }
  void read(const TensorRequest& request, float* out) override {
    asked.push_back(request);
    std::fill_n(out, dims_size(request.dims), 0.0f);
  }
  std::string describe() const override { return "a listing"; }

  std::vector<TensorRequest> asked;

 private:
  const FileSource& file_;
};

std::string megabytes(std::size_t bytes) { return fmt::format("{:.1f} MB", static_cast<double>(bytes) / 1e6); }

// Whether dims are equal up to axes of length 1 at the end.
bool same_dims(std::vector<std::int64_t> a, std::vector<std::int64_t> b) {
  while (!a.empty() && a.back() == 1) a.pop_back();
  while (!b.empty() && b.back() == 1) b.pop_back();
  return a == b;
}

// Prints one file; false if a known network is not complete.
bool inspect(const std::string& path, bool tensors) {
  const auto file = std::make_shared<const Checkpoint>(autoencoder_weights(path));  // of a folder, its autoencoder
  std::map<std::string, std::pair<std::int64_t, std::size_t>> types;                // values, bytes
  std::int64_t values = 0;
  for (const auto& name : file->names()) {
    auto& t = types[d3ad::name(file->dtype(name))];
    t.first += file->count(name);
    t.second += file->bytes(name).size();
    values += file->count(name);
  }
  fmt::print("{}: {} tensors, {:.2f} million values, {}\n", file->path(), file->size(),
             static_cast<double>(values) / 1e6, megabytes(file->file_bytes()));
  if (file->files().size() > 1) fmt::print("  {} shards\n", file->files().size());
  for (const auto& [type, t] : types)
    fmt::print("  {:5} {:.2f} million values, {}\n", type, static_cast<double>(t.first) / 1e6, megabytes(t.second));
  for (const auto& [key, value] : file->metadata())
    fmt::print("  {} = {}\n", key, value.size() > 200 ? value.substr(0, 200) + "..." : value);
  if (tensors)
    for (const auto& name : file->names())
      fmt::print("    {:60} {:5} {:24} {} bytes\n", name, d3ad::name(file->dtype(name)), dims_text(file->dims(name)),
                 file->bytes(name).size());

  const Recognised found = recognise(*file, autoencoder_config(path));
  if (found.kind == NetworkKind::unknown) {
    fmt::print("  network: none that is known here\n");
    return true;
  }
  if (found.kind == NetworkKind::consistency_decoder) {
    fmt::print("  network: {}, which is not supported\n", name(found.kind));
    return true;
  }
  fmt::print("  network: {} {}\n", name(found.kind), found.config.dump());
  fmt::print("  names: {}{}\n", found.spelling, found.prefix.empty() ? "" : ", under '" + found.prefix + "'");
  if (!found.heads_known) fmt::print("  note: the number of heads leaves no trace in the weights; 8 is assumed\n");

  FileSource names(file, found.prefix);
  Listing source(names);
  ParameterStore<Cpu> store;
  make_recognised({store, source}, found);
  int missing = 0, other = 0;
  for (const auto& request : source.asked) {
    if (!names.has(request.name)) {
      fmt::print("  missing: {} {}\n", request.name, dims_text(request.dims));
      ++missing;
      continue;
    }
    const auto dims = names.dims(request.name);
    if (!same_dims(dims, request.dims)) {
      fmt::print("  shape: {} is {}, expected {}\n", request.name, dims_text(dims), dims_text(request.dims));
      ++other;
      continue;
    }
    names.mark_read(request.name);
  }
  const auto left = names.left_over(may_stay_unread);
  for (const auto& name : left) fmt::print("  left over: {}\n", name);
  fmt::print("  {} of {} tensors found, {} missing, {} of another shape, {} left over\n",
             source.asked.size() - static_cast<std::size_t>(missing + other), source.asked.size(), missing, other,
             left.size());
  return missing == 0 && other == 0;
}

}  // namespace

void add_inspect(CLI::App& app, int& exit_code) {
  auto* command = app.add_subcommand("inspect", "say what files of weights hold, which network it is, what is missing");
  auto files = std::make_shared<std::vector<std::string>>();
  auto tensors = std::make_shared<bool>(false);
  command->add_option("FILE", *files, "safetensors files, shard indices, diffusers folders")->required();
  command->add_flag("--tensors", *tensors, "list every tensor");
  command->footer(
      "Exit code: 0 when every known network is complete, 1 when one is not, 2 for a file that cannot be read.");
  command->callback([files, tensors, &exit_code] {
    for (const auto& file : *files)
      if (!inspect(file, *tensors)) exit_code = 1;
  });
}

}  // namespace program
