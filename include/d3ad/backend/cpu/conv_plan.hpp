#pragma once
// AlgorithmPlan: the algorithm of each convolution. A cost model chooses it by the shapes, unless a file or a
// measurement says which one to take.
//
//   conv::AlgorithmPlan& plan = conv::plan_of(ctx);          // a context has one
//   plan.load("conv.plan");                                  // a file's choices come before those of the cost model
//   plan.save("conv.plan");                                  // what was chosen so far
//   plan.allow_winograd(false);                              // only algorithms without transforms
//   plan.prefer(conv::Algorithm::onednn);                    // for every convolution that it can compute
//   plan.use_bfloat16();                                     // throws if the processor has neither AMX nor AVX512-BF16
//   plan.tune();                                             // measures, instead of using the cost model
//   plan.observe([](const conv::Layer& layer, conv::Algorithm a, double seconds) { print(layer, a, seconds); });
//   plan.run({.x = x.shape, .w = w.shape(), .pad = 1, .pad_end = 1}, [&](conv::Algorithm a) { compute(a, x, w); });
//
// The cost model depends on the length of the machine's vectors and on the shapes of the layer only, so that two runs
// choose the same and give the same bits. A file has one line for each layer, such as "block n8 h32 w32 c192 o192 k3 s1
// p1 e1 winograd4"; the shapes are those of the convolved image, after resampling. "block" is a convolution with fused
// operations (ops/conv_block.hpp), "conv" is one without.

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "d3ad/backend/cpu/onednn.hpp"
#include "d3ad/backend/cpu/tiled_conv.hpp"
#include "d3ad/core/file.hpp"
#include "d3ad/core/keyed_cache.hpp"

namespace d3ad::conv {

inline constexpr std::array<const char*, 5> kAlgorithmNames{"direct", "winograd2", "winograd4", "onednn", "bfloat16"};
inline const char* name(Algorithm algorithm) { return kAlgorithmNames[static_cast<std::size_t>(algorithm)]; }

// What the algorithm of a convolution is chosen by.
struct Layer {
  Shape x, w;  // of the convolved image; {n = out, h = k, w = k, c = in}
  int stride = 1, pad = 0, pad_end = 0;
  bool alone = false;  // not a block

  std::int64_t out_h() const { return (x.h + pad + pad_end - w.h) / stride + 1; }
  std::int64_t out_w() const { return (x.w + pad + pad_end - w.w) / stride + 1; }
  double flops() const {
    return 2.0 * static_cast<double>(x.n * out_h() * out_w()) * static_cast<double>(w.n * w.c * w.h * w.w);
  }
  bool allows(Algorithm m) const {
    if (m == Algorithm::bfloat16) return w.c >= kDepth;
    return m == Algorithm::direct || m == Algorithm::onednn ||
           (w.h == 3 && stride == 1 && !is_flat(w.c, 3) && out_h() >= 1 && out_w() >= 1);
  }
  bool operator==(const Layer&) const = default;
};
struct HashOfLayer {
  std::size_t operator()(const Layer& l) const noexcept {
    struct Words {
      Shape x, w;
      std::int64_t stride, pad, pad_end, alone;
    };
    return HashOfBytes<Words>()({l.x, l.w, l.stride, l.pad, l.pad_end, l.alone});
  }
};

// The line of a layer in a file, without the algorithm.
inline std::string line(const Layer& l) {
  char text[192];
  std::snprintf(text, sizeof text, "%s n%lld h%lld w%lld c%lld o%lld k%lld s%d p%d e%d", l.alone ? "conv" : "block",
                static_cast<long long>(l.x.n), static_cast<long long>(l.x.h), static_cast<long long>(l.x.w),
                static_cast<long long>(l.x.c), static_cast<long long>(l.w.n), static_cast<long long>(l.w.h), l.stride,
                l.pad, l.pad_end);
  return text;
}

// The cost of a layer by one of our algorithms, in cycles of a core that computes two vector products in each. The
// factors were measured on Zen 5: the time of a product of few rows is that of reading its weights; the direct
// algorithm takes a third longer than its products, because it writes the columns first; the transform of the weights
// takes longer than its arithmetic, because it reads them from memory.
inline double cost(const Layer& l, Algorithm algorithm) {
  const double lanes = kernels::table().lanes, c = static_cast<double>(parts(l.w.c, kDepth) * kDepth);
  const double columns = static_cast<double>(parts(l.w.n, kernels::table().lanes)) * lanes;
  const int m = algorithm == Algorithm::winograd4 ? 4 : algorithm == Algorithm::winograd2 ? 2 : 1;
  const double points = m > 1 ? (m + 2) * (m + 2) : static_cast<double>(l.w.h * l.w.w);
  const double units = static_cast<double>(l.x.n * parts(l.out_h(), m) * parts(l.out_w(), m));
  const double blocks = std::max(1.0, units / (m > 1 ? 64 : 128)), rows = units / blocks;
  const double products = blocks * points * c * columns / lanes / 2 * std::max(rows, 5.0);
  if (m == 1) return 1.35 * products;
  const double weights = blocks * c * columns / lanes * (m == 4 ? 200 : 130);
  return products + weights + units * points * (c + columns) / lanes * 2.5;
}

class AlgorithmPlan {
 public:
  Algorithm algorithm(const Layer& layer) {
    const auto known = chosen_.find(layer);
    if (known != chosen_.end()) return known->second;
    return chosen_[layer] = choose(layer);
  }

  // Calls execute(algorithm) with the algorithm of the layer. While tuning, a layer that neither a file nor set() named
  // is first computed and timed with each of them.
  template <class Execute>
  void run(const Layer& layer, Execute&& execute) {
    if (tuning_ && !chosen_.count(layer) && !told_.count(layer)) chosen_[layer] = fastest(layer, execute);
    run_once(layer, execute);
  }

  // The same for a convolution that can run only once, because it overwrites its input. It is never measured.
  template <class Execute>
  void run_once(const Layer& layer, Execute&& execute) {
    const Algorithm chosen = algorithm(layer);
    if (!observer_) return execute(chosen);
    const auto start = Clock::now();
    execute(chosen);
    observer_(layer, chosen, std::chrono::duration<double>(Clock::now() - start).count());
  }

  // Is called after each convolution with its layer, its algorithm and the seconds that it took; for profiles.
  using Observer = std::function<void(const Layer&, Algorithm, double seconds)>;
  void observe(Observer observer) { observer_ = std::move(observer); }

  // The choice of the cost model, without files and preferences.
  static Algorithm best(const Layer& layer) {
    // oneDNN reads every second pixel in place, while our kernels copy the columns.
    if (layer.stride > 1 && layer.w.h > 1) return Algorithm::onednn;
    Algorithm least = Algorithm::direct;
    double least_cost = cost(layer, least);
    for (const Algorithm m : {Algorithm::winograd2, Algorithm::winograd4})
      if (const double c = layer.allows(m) ? cost(layer, m) : least_cost; c < least_cost) least = m, least_cost = c;
    return least;
  }

  void allow_winograd(bool allowed) {
    winograd_ = allowed;
    chosen_.clear();
  }
  void prefer(Algorithm algorithm) {
    preferred_ = algorithm, has_preferred_ = true;
    chosen_.clear();
  }

  // Convolutions of at least sixteen channels multiply in bfloat16, which has eight bits of precision, and add in
  // float. The plan never chooses this by itself, because maps and scores change in the second or third digit. Throws
  // if the processor has no such instructions. With AMX it is several times as fast; with AVX512-BF16 alone, Winograd
  // in float is faster.
  void use_bfloat16() {
    D3AD_CHECK(onednn::has_bfloat16(),
               "bfloat16: this processor has no instructions for it (AVX512-BF16 or AMX); compute in float");
    prefer(Algorithm::bfloat16);
  }

  // From now on a layer is measured when it is computed for the first time. If two algorithms are nearly equally fast,
  // the choice depends on chance: save the plan and load it for runs that have to be the same.
  void tune() {
    tuning_ = true;
    chosen_.clear();
  }

  // Sets the algorithm of one layer; it comes before every other choice.
  void set(const Layer& layer, Algorithm algorithm) {
    told_[layer] = algorithm;
    chosen_.erase(layer);
  }

  void load(const std::filesystem::path& path) {
    for (const std::string& text : read_lines(path)) {
      if (text[0] == '#') continue;
      Layer l;
      const Algorithm m = parse(text, l, path.string());
      set(l, m);
    }
  }
  void save(const std::filesystem::path& path) const { write_atomically(path, std::string_view(text())); }
  // What was chosen so far, in the lines of a file, sorted.
  std::string text() const {
    std::set<std::string> lines;
    for (const auto& [layer, algorithm] : chosen_) lines.insert(line(layer) + " " + name(algorithm) + "\n");
    std::string all;
    for (const std::string& text : lines) all += text;
    return all;
  }

 private:
  using Clock = std::chrono::steady_clock;

  Algorithm choose(const Layer& layer) const {
    const auto told = told_.find(layer);
    if (told != told_.end()) return told->second;
    if (has_preferred_ && layer.allows(preferred_)) return preferred_;
    const Algorithm b = best(layer);
    const Algorithm m = winograd_ || b == Algorithm::onednn ? b : Algorithm::direct;
    // Without fused operations, oneDNN's direct convolution is faster than ours.
    return m == Algorithm::direct && layer.alone ? Algorithm::onednn : m;
  }

  template <class Execute>
  Algorithm fastest(const Layer& layer, Execute&& execute) const {
    Algorithm best_so_far = Algorithm::direct;
    auto least = Clock::duration::max();
    for (const Algorithm a :
         {Algorithm::direct, Algorithm::winograd2, Algorithm::winograd4, Algorithm::onednn, Algorithm::bfloat16}) {
      const bool is_winograd = a == Algorithm::winograd2 || a == Algorithm::winograd4;
      const bool rounds = a == Algorithm::bfloat16 && !(has_preferred_ && preferred_ == a);
      if (!layer.allows(a) || (is_winograd && !winograd_) || rounds) continue;
      execute(a);  // makes what is kept for later calls
      for (int i = 0; i < 3; ++i) {
        const auto start = Clock::now();
        execute(a);
        const auto time = Clock::now() - start;
        if (time < least) least = time, best_so_far = a;
      }
    }
    return best_so_far;
  }

  static Algorithm parse(const std::string& line, Layer& l, const std::string& where) {
    const auto space = line.rfind(' ');
    const std::string algorithm = space == std::string::npos ? line : line.substr(space + 1);
    const auto at = std::find(kAlgorithmNames.begin(), kAlgorithmNames.end(), algorithm);
    long long n = 0, h = 0, w = 0, c = 0, o = 0, k = 0;
    int end = 0;
    char kind[8] = "";
    const bool read = std::sscanf(line.c_str(), "%5s n%lld h%lld w%lld c%lld o%lld k%lld s%d p%d e%d %n", kind, &n, &h,
                                  &w, &c, &o, &k, &l.stride, &l.pad, &l.pad_end, &end) == 10 &&
                      end > 0 && line.substr(static_cast<std::size_t>(end)) == algorithm;
    l.alone = std::string_view(kind) == "conv";
    D3AD_CHECK(read && at != kAlgorithmNames.end() && (l.alone || std::string_view(kind) == "block"), where, ": '",
               line,
               "' is not like 'block n8 h32 w32 c192 o192 k3 s1 p1 e1 winograd4'; algorithms are direct, winograd2, "
               "winograd4, onednn and bfloat16");
    l.x = {n, h, w, c}, l.w = {o, k, k, c};
    D3AD_CHECK(
        n >= 1 && h >= 1 && w >= 1 && c >= 1 && o >= 1 && k >= 1 && l.stride >= 1 && l.pad >= 0 && l.pad_end >= 0,
        where, ": '", line, "' is not the shape of a convolution");
    const auto m = static_cast<Algorithm>(at - kAlgorithmNames.begin());
    D3AD_CHECK(m != Algorithm::bfloat16 || onednn::has_bfloat16(), where, ": '", line,
               "' asks for bfloat16, which this processor has no instructions for");
    D3AD_CHECK(l.allows(m), where, ": ", algorithm,
               m == Algorithm::bfloat16 ? " computes convolutions of 16 channels or more, not '"
                                        : " computes 3x3 convolutions of stride 1 and 16 channels or more, not '",
               line, "'");
    return m;
  }

  std::unordered_map<Layer, Algorithm, HashOfLayer> chosen_, told_;
  bool winograd_ = true, has_preferred_ = false, tuning_ = false;
  Algorithm preferred_ = Algorithm::direct;
  Observer observer_;
};

inline AlgorithmPlan& plan_of(Context<Cpu>& ctx) { return ctx.kept<AlgorithmPlan>(); }

}  // namespace d3ad::conv
