// Micro-benchmarks on Google Benchmark; every result is verified before it is timed.
//
//   bench ops        every operation at every shape the networks use, against oneDNN alone and the machine's peak
//   bench models     the networks and a training step, against the plain path; --layers: where the time goes
//   bench pipeline   whole detections: images a second and memory against batch, threads, steps, image size, width

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "../../examples/command_line.hpp"
#include "speed.hpp"

namespace speed {

Peaks measure_peaks(int threads) {
  Peaks peaks;
  const auto& table = kernels::table();
  const std::int64_t rows = table.rows, depth = 256, columns = table.columns;
  constexpr int kTimes = 2000;
  Context<Cpu> ctx({.threads = threads});
  const int team = ctx.threads();
  // As many operands as there are threads, each in its first cache.
  const auto a = random({.n = team, .c = rows * depth}, 1), b = random({.n = team, .c = depth * columns}, 2);
  Tensor<float, Cpu> c({.n = team, .c = rows * columns});
  const double seconds = best_of(20, [&] {
#pragma omp parallel num_threads(team)
    {
      const int me = omp_get_thread_num();
      for (int i = 0; i < kTimes; ++i)
        table.product(a.data() + me * rows * depth, rows * kernels::kDepth, b.data() + me * depth * columns, depth,
                      rows, c.data() + me * rows * columns, true, false);
    }
  });
  peaks.flops = 2.0 * team * kTimes * static_cast<double>(rows * depth * columns) / seconds;

  constexpr std::int64_t kSize = std::int64_t{64} << 20;  // floats, 256 MiB
  Tensor<float, Cpu> from({.c = kSize}), to({.c = kSize});
  ops::fill(ctx, from.view(), 1.0f);
  ops::fill(ctx, to.view(), 0.0f);
  peaks.copy = 2.0 * kSize * sizeof(float) / best_of(5, [&] { ops::copy(ctx, to.view(), from.view()); });
  peaks.read =
      1.0 * kSize * sizeof(float) / best_of(5, [&] { benchmark::DoNotOptimize(ops::sum_squares(ctx, from.view())); });
  return peaks;
}

namespace {

int run(int argc, char** argv) {
  CLI::App app(
      "Micro-benchmarks of d3ad. What follows the options goes to Google Benchmark\n"
      "(--benchmark_filter=REGEX, --benchmark_format=json, --benchmark_out=FILE ...).");
  app.name("bench");
  Options o;
  std::string part;
  app.add_option("PART", part, "ops, models or pipeline")
      ->required()
      ->check(CLI::IsMember({"ops", "models", "pipeline"}));
  app.add_option("--threads", o.threads, "0: one for each core")->check(CLI::Range(0, 1024))->capture_default_str();
  app.add_option("--image-size", o.image_size, "a multiple of 128 (with --small of 32)")
      ->check(CLI::Range(32, 4096))
      ->capture_default_str();
  app.add_flag("--small", o.small, "small networks and images: whether it works, in a minute");
  app.add_flag("--layers", o.layers, "models: a table of each network's convolutions");
  app.add_flag("--paper", o.paper, "pipeline: the paper's networks instead of small ones");
  app.allow_extras();
  app.callback([&] {
    if (o.small && app.count("--image-size") == 0) o.image_size = 64;
    const int unit = o.small ? 32 : 128;
    if (o.image_size % unit != 0)
      throw CLI::ValidationError("--image-size", "is not a multiple of " + std::to_string(unit));
    for (const auto& word : app.remaining()) {
      if (!word.starts_with("--benchmark_")) throw CLI::ExtrasError({word});
      // Google Benchmark aborts in CSV if not all benchmarks have the same counters.
      if (word.find("format=csv") != std::string::npos)
        throw CLI::ValidationError(word, "the benchmarks have different counters, which CSV cannot hold; use json");
    }
  });
  if (const auto code = command_line::parse(app, argc, argv)) return *code;

  std::vector<std::string> rest = app.remaining();
  std::vector<char*> words{argv[0]};
  for (auto& word : rest) words.push_back(word.data());
  int count = static_cast<int>(words.size());
  benchmark::Initialize(&count, words.data());
  if (count > 1) {
    std::fprintf(stderr, "bench: Google Benchmark does not know '%s'\n", words[1]);
    return 2;
  }

  const Peaks peaks = measure_peaks(o.threads);
  const auto context = [](const char* name, double giga) {
    char text[32];
    std::snprintf(text, sizeof text, "%.0f", giga);
    benchmark::AddCustomContext(name, text);
  };
  context("peak GFLOP/s", peaks.flops / 1e9);
  context("peak GB/s read", peaks.read / 1e9);
  context("peak GB/s copied", peaks.copy / 1e9);
  benchmark::AddCustomContext("vectors", simd::name(simd::level()));
  benchmark::AddCustomContext("threads", std::to_string(Context<Cpu>({.threads = o.threads}).threads()));
  if (part == "ops") register_ops(o, peaks);
  if (part == "models") register_models(o, peaks);
  if (part == "pipeline") register_pipeline(o, peaks);
  benchmark::RunSpecifiedBenchmarks();
  if (part == "models" && o.layers) print_layers(o);
  benchmark::Shutdown();
  if (failed) std::fprintf(stderr, "bench: some results are wrong and were not timed\n");
  return failed ? 1 : 0;
}

}  // namespace
}  // namespace speed

int main(int argc, char** argv) {
  try {
    return speed::run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench: %s\n", error.what());
    return 2;
  }
}
