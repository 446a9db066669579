#pragma once
// What the tables of kernels share: numbers that are the same on both devices, and how a row is verified and timed.
//
//   KernelTable<half> table(options, "half");
//   table.row("add", {.model = {30, 32, 32, 192}, .large = {8, 256, 256, 128}}, [&](Shape s) {
//     table.same({.bytes = ...}, s, {s, s},
//                [](auto& ctx, auto out, const auto& in) { ops::add(ctx, out, in[0], in[1]); });
//   });
//   table.good()
//
//   kernel,type,size,shape,best_ms,median_ms,runs,bytes,gb_per_s,gflop,tflop_per_s,error,tolerance,verified,note
//
// size: `model` is that of a detection of 30 images at the paper's size; much of it stays in the GPU's cache, so that
// it measures latency, not bandwidth. `large` is some hundred megabytes (products: some hundred GFLOP) and measures how
// well a kernel uses the GPU. bytes are those that the operation has to move: each input and output once; what has to
// be read twice by its definition (a norm's input, a separable blur's image) counts twice; none for products.

#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "gpu_bench.hpp"

namespace gpu {

// The same numbers on both devices: of type U there, widened here.
template <class T, class U = T>
struct Both {
  Tensor<float, Cpu> host;
  Tensor<U, CudaOf<T>> device;

  // Hash numbers in [-scale, scale) + offset, rounded to U.
  Both(const std::string& name, Shape shape, float scale = 1, float offset = 0)
      : host(uniform(name, shape, scale)), device(shape) {
    std::vector<U> narrow(static_cast<std::size_t>(shape.size()));
    for (std::size_t i = 0; i < narrow.size(); ++i) {
      narrow[i] = static_cast<U>(host.data()[i] + offset);
      host.data()[i] = static_cast<float>(narrow[i]);
    }
    copy_from_host(device.view(), narrow.data());
  }
};

template <class U, class Device>
std::vector<float> downloaded(const Tensor<U, Device>& x) {
  std::vector<U> narrow(static_cast<std::size_t>(x.size()));
  copy_to_host<U, Device>(narrow.data(), x.view());
  return {narrow.begin(), narrow.end()};
}
template <class U, class Device>
double error_of(const Tensor<U, Device>& got, const Tensor<float, Cpu>& want) {
  D3AD_CHECK(got.size() == want.size(), "the results have ", got.size(), " and ", want.size(), " numbers");
  return relative_error(downloaded(got).data(), want.data(), static_cast<std::size_t>(want.size()));
}

// What an operation has to do: move bytes, or multiply and add.
struct Amount {
  std::int64_t bytes = 0;
  double flop = 0;
};

// The image of a row; with --small neither is used as it is.
struct Sizes {
  Shape model, large;
};

template <class T>
class KernelTable {
 public:
  using Device = CudaOf<T>;
  static constexpr std::int64_t kSize = sizeof(T);

  KernelTable(const Options& o, std::string type) : o_(o), type_(std::move(type)), host_({.threads = o.threads}) {}

  bool good() const { return good_; }
  const Options& options() const { return o_; }
  Context<Cpu>& host() { return host_; }
  Context<Device>& device() { return *ctx_; }

  // Of results that are rounded to the type; of products in tf32, their operands are.
  double tolerance() const { return tolerances(type_ == "tf32" ? "half" : type_).no_layers; }

  // Calls body(shape) for both sizes, with a context of its own each.
  template <class Body>
  void row(const char* name, Sizes sizes, Body body) {
    if (!Options::chosen(o_.rows, name)) return;
    for (const bool large : {false, true}) {
      const Shape s = o_.small ? smaller(large ? sizes.large : sizes.model, large) : large ? sizes.large : sizes.model;
      name_ = name, size_ = large ? "large" : "model", shape_ = concat(s.n, 'x', s.h, 'x', s.w, 'x', s.c);
      try {
        ctx_ = std::make_unique<Context<Device>>(typename Context<Device>::Options{.tf32 = type_ == "tf32"});
        body(s);
      } catch (const std::exception& error) {
        good_ = false;
        print_line({name_, type_, size_, shape_, "", "", "", "", "", "", "", "", "", "no", error.what()});
      }
      ctx_.reset();
    }
  }

  // op(ctx, out, inputs) on both devices: inputs of type U (T if nothing is said) and these shapes, out of type Out.
  template <class U = T, class Out = U, class Op>
  void same(Amount amount, Shape out_shape, const std::vector<Shape>& shapes, Op op) {
    same<U, Out>(amount, out_shape, shapes, op, tolerance());
  }
  template <class U = T, class Out = U, class Op>
  void same(Amount amount, Shape out_shape, const std::vector<Shape>& shapes, Op op, double allowed) {
    std::vector<Both<T, U>> inputs;
    std::vector<View<const float, Cpu>> here;
    std::vector<View<const U, Device>> there;
    inputs.reserve(shapes.size());
    for (const Shape& s : shapes) {
      const auto& x = inputs.emplace_back(concat("bench.", inputs.size()), s);
      here.push_back(x.host.view()), there.push_back(x.device.view());
    }
    Tensor<Out, Device> out(out_shape);
    Tensor<float, Cpu> want(out_shape);
    op(host_, want.view(), here);
    report(
        amount, [&] { op(*ctx_, out.view(), there); }, [&] { return error_of(out, want); }, allowed);
  }

  // After one call of `work` error() tells how far off it is; then it is timed, some of them together.
  template <class Work, class Error>
  void report(Amount amount, Work work, Error error) {
    report(amount, work, error, tolerance());
  }
  template <class Work, class Error>
  void report(Amount amount, Work work, Error error, double allowed) {
    work();
    const Verdict verdict{.error = error(), .tolerance = allowed};
    int together = 1;
    if (!o_.small) {
      Clock clock(ctx_->stream());
      work();
      const double once = clock(work);
      if (once > 0) together = std::clamp(static_cast<int>(5 / once), 1, 1000);
    }
    const Times t = measure(ctx_->stream(), o_, work, together);
    good_ = verdict.ok() && good_;
    const auto bytes = static_cast<double>(amount.bytes);
    print_line({name_, type_, size_, shape_, number(t.best), number(t.median), concat(t.runs),
                amount.bytes ? concat(amount.bytes) : "",
                amount.bytes ? number(per_second(1e-9 * bytes, t.median)) : "",
                amount.flop > 0 ? number(1e-9 * amount.flop) : "",
                amount.flop > 0 ? number(per_second(1e-12 * amount.flop, t.median)) : "", number(verdict.error, "%.2e"),
                number(verdict.tolerance, "%.2e"), verdict.ok() ? "yes" : "no", ""});
  }

 private:
  static Shape smaller(Shape s, bool large) {
    return {std::min<std::int64_t>(s.n, 3), std::min<std::int64_t>(s.h, large ? 24 : 16),
            std::min<std::int64_t>(s.w, large ? 24 : 16), std::min<std::int64_t>(s.c, 96)};
  }

  Options o_;
  std::string type_, name_, size_, shape_;
  Context<Cpu> host_;
  std::unique_ptr<Context<Device>> ctx_;
  bool good_ = true;
};

// Each adds its rows.
template <class T>
void forward_rows(KernelTable<T>& table);
template <class T>
void training_rows(KernelTable<T>& table);
template <class T>
void product_rows(KernelTable<T>& table);

}  // namespace gpu
