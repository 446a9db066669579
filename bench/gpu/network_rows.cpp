// The table of networks: each row verified against the CPU, then timed.
//
//   row,competitor,type,batch,best_ms,median_ms,spread,runs,images_per_s,error,tolerance,verified,gflop,note
//
// gflop: of the whole call, products alone (networks.hpp). competitor is d3ad, as the library does it, or d3ad_graph:
// the whole call recorded once and replayed. unet_x10 is ten calls of the UNet in one graph, which `loop` (ten guided
// steps) is measured by.

#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "gpu_bench.hpp"
#include "networks.hpp"

namespace gpu {

namespace {

constexpr int kCallsToVerify = 3;  // the loop's graph is made in the second and launched from there on

double tolerance(const std::string& row, const std::string& type) {
  const Tolerances allowed = tolerances(type);
  return row == "detection" || row == "loop" || row == "train_step" ? allowed.steps : allowed.network;
}

// What the CPU gives, made once, and kept in a folder if one is named: raw floats, in PyTorch's axis order.
class References {
 public:
  explicit References(const Options& o) : o_(o), nets_(o) {}

  std::vector<float> of(const std::string& row, Images images) {
    const std::string name = concat(row, '.', images.first, '.', images.count, ".f32");
    if (!o_.reference.empty() && std::filesystem::exists(o_.reference / name)) return read(o_.reference / name);
    if (!ctx_) ctx_ = std::make_unique<Context<Cpu>>(Context<Cpu>::Options{.threads = o_.threads});
    const Row<Cpu> call = make_row(nets_, row, images);
    std::vector<float> numbers;
    for (int i = 0; i < (row == "train_step" ? kCallsToVerify : 1); ++i) {
      numbers.clear();
      for (const Part& part : parts_of(call(*ctx_), 0, images.count))
        numbers.insert(numbers.end(), part.begin(), part.end());
    }
    if (!o_.reference.empty()) write(o_.reference / name, numbers);
    return numbers;
  }

 private:
  static std::vector<float> read(const std::filesystem::path& path) {
    std::vector<float> numbers(std::filesystem::file_size(path) / sizeof(float));
    std::ifstream file(path, std::ios::binary);
    file.read(reinterpret_cast<char*>(numbers.data()), static_cast<std::streamsize>(numbers.size() * sizeof(float)));
    D3AD_CHECK(file, "'", path.string(), "' cannot be read");
    return numbers;
  }
  static void write(const std::filesystem::path& path, const std::vector<float>& numbers) {
    auto unfinished = path;
    unfinished += ".part";
    std::ofstream file(unfinished, std::ios::binary);
    file.write(reinterpret_cast<const char*>(numbers.data()),
               static_cast<std::streamsize>(numbers.size() * sizeof(float)));
    file.close();
    D3AD_CHECK(file, "'", unfinished.string(), "' cannot be written");
    std::filesystem::rename(unfinished, path);
  }

  Options o_;
  Networks<Cpu> nets_;
  std::unique_ptr<Context<Cpu>> ctx_;
};

// The row recorded once and launched as a whole from then on. Its outputs are copied to memory that stays.
template <class T>
Row<CudaOf<T>> replayed(Row<CudaOf<T>> row) {
  using Device = CudaOf<T>;
  struct State {
    Row<Device> row;
    std::vector<Tensor<T, Device>> out;
    Replay<Device> replay;
  };
  auto s = std::make_shared<State>();
  s->row = std::move(row);
  return [s](Context<Device>& ctx) {
    if (s->out.empty())
      for (const auto& v : s->row(ctx).real) s->out.emplace_back(v.shape());
    s->replay.run(ctx, "row", [state = s.get()](Context<Device>& c) {
      const Outputs<Device> y = state->row(c);
      for (std::size_t i = 0; i < y.real.size(); ++i) ops::copy(c, state->out[i].view(), y.real[i].view());
    });
    Outputs<Device> out;
    for (const auto& y : s->out) out.real.push_back(Value<T, Device>::borrow(y.view()));
    return out;
  };
}

template <class T>
class Table {
 public:
  Table(const Options& o, std::string type, References& references)
      : o_(o), type_(std::move(type)), references_(references), nets_(o) {}

  bool run() {
    bool good = true;
    const auto row = [&](const std::string& name, bool graph, int batch) {
      if (Options::chosen(o_.rows, name)) good = guarded(name, graph, batch) && good;
    };
    for (const int batch : o_.batches) {
      row("resnet34", false, batch);
      for (const char* name : {"vae_encoder", "vae_decoder", "unet"})
        for (const bool graph : {false, true}) row(name, graph, batch);
      row("unet_x10", true, batch);
      row("loop", false, batch);
      row("detection", false, batch);
      ctx_.reset();
    }
    for (const int batch : o_.batches)
      if (batch > 1) row("train_step", false, batch);
    ctx_.reset();
    return good;
  }

 private:
  using Device = CudaOf<T>;

  // A row that fails is one that says why; the others follow.
  bool guarded(const std::string& name, bool graph, int batch) {
    const std::string who = graph ? "d3ad_graph" : "d3ad";
    try {
      return one(name, who, graph, batch);
    } catch (const std::exception& error) {
      ctx_.reset();
      print_line({name, who, type_, concat(batch), "", "", "", "", "", "", "", "no", "", error.what()});
      return false;
    }
  }

  bool one(const std::string& name, const std::string& who, bool graph, int batch) {
    if (!ctx_) ctx_ = std::make_unique<Context<Device>>(typename Context<Device>::Options{.tf32 = type_ == "tf32"});
    Row<Device> row = make_row(nets_, name, {0, batch});
    if (graph) row = replayed<T>(std::move(row));
    const Verdict verdict = verified(name, row, batch);
    const Times t = measure(ctx_->stream(), o_, [&] { row(*ctx_); });
    print_line({name, who, type_, concat(batch), number(t.best), number(t.median), number(t.spread, "%.3f"),
                concat(t.runs), number(per_second(batch, t.median)), number(verdict.error, "%.2e"),
                number(verdict.tolerance, "%.2e"), verdict.ok() ? "yes" : "no",
                o_.small ? "" : number(gflop(name, batch)), ""});
    return verdict.ok();
  }

  Verdict verified(const std::string& name, const Row<Device>& row, int batch) {
    for (int i = 1; i < kCallsToVerify; ++i) row(*ctx_);
    const Outputs<Device> out = row(*ctx_);
    const bool together = name == "train_step";
    Verdict verdict{.error = 0, .tolerance = tolerance(name, type_)};
    for (const int image : together ? std::set<int>{0} : std::set<int>{0, batch - 1}) {
      const int count = together ? batch : 1;
      const auto want = references_.of(name == "unet_x10" ? "unet" : name, {image, count});
      std::size_t at = 0;
      for (const Part& part : parts_of(out, image, count)) {
        D3AD_CHECK(at + part.size() <= want.size(),
                   "the CPU's result is of another size; empty the --reference folder");
        verdict.error = std::max(verdict.error, relative_error(part.data(), want.data() + at, part.size()));
        at += part.size();
      }
      D3AD_CHECK(at == want.size(), "the CPU's result is of another size; empty the --reference folder");
    }
    return verdict;
  }

  Options o_;
  std::string type_;
  References& references_;
  Networks<Device> nets_;
  std::unique_ptr<Context<Device>> ctx_;
};

}  // namespace

bool network_rows(const Options& o) {
  for (const auto& row : o.rows) {
    static const std::set<std::string> known{"resnet34", "vae_encoder", "vae_decoder", "unet",
                                             "unet_x10", "loop",        "detection",   "train_step"};
    D3AD_CHECK(known.count(row), "--rows: '", row, "' is not known");
  }
  print_line({"row", "competitor", "type", "batch", "best_ms", "median_ms", "spread", "runs", "images_per_s", "error",
              "tolerance", "verified", "gflop", "note"});
  References references(o);
  bool good = true;
  const auto table = [&]<class T>(T, const char* type) {
    if (Options::chosen(o.types, type)) good = Table<T>(o, type, references).run() && good;
  };
  table(float{}, "tf32");
  table(half{}, "half");
  table(bfloat16{}, "bfloat16");
  table(float{}, "float");
  return good;
}

}  // namespace gpu
