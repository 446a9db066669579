#pragma once
// oneDNN for the CPU's ops; the one file that knows its API, and the difference between 2.x (Debian's) and 3.x.
//
//   onednn::Threads threads(ctx);           this thread's calls use ctx.threads() threads until the end of the scope
//   onednn::gemm(...)                       row-major matrix product; one thread inside a parallel region
//   onednn::Convolution conv(ctx, Pass::forward, geometry);      made once, kept in ctx.plan
//   conv.run(ctx, x, weights, bias, y);     weights in conv's own format:
//   onednn::packed_weights(ctx, parameter, conv)                  kept beside the parameter, made again when it changed
//
// Tensors are channels last on both sides; only weights change their layout. All memory is ours: scratch comes from the
// context's arena, packed weights from Memory<Cpu>. Nothing throws dnnl::error: failures are Errors that say what
// oneDNN could not do.

#include <omp.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <oneapi/dnnl/dnnl.hpp>
#include <ostream>
#include <unordered_map>
#include <vector>

#include "d3ad/backend/cpu/context.hpp"
#include "d3ad/core/parameter.hpp"

namespace d3ad::onednn {

// oneDNN asks OpenMP how many threads to use; that setting belongs to the calling thread and is put back.
class Threads {
 public:
  explicit Threads(const Context<Cpu>& ctx) : Threads(ctx.threads()) {}
  explicit Threads(int threads) : before_(omp_get_max_threads()) { omp_set_num_threads(threads); }
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;
  ~Threads() { omp_set_num_threads(before_); }

 private:
  int before_;
};

// Runs `work`; what oneDNN throws becomes an Error that opens with `what...`.
template <class Work, class... What>
decltype(auto) checked(Work&& work, const What&... what) {
  try {
    return work();
  } catch (const dnnl::error& error) {
    fail(what..., ": oneDNN failed: ", error.what(), " (status ", static_cast<int>(error.status), ')');
  }
}

// C [m, n] = alpha op(A) op(B) + beta C, row-major; op transposes where asked; lda, ldb, ldc are the steps between rows
// as they lie in memory. False where oneDNN could not (it ran out of memory); never throws, so it may run in a parallel
// region, where it uses the calling thread alone.
inline bool gemm(bool transpose_a, bool transpose_b, std::int64_t m, std::int64_t n, std::int64_t k, float alpha,
                 const float* a, std::int64_t lda, const float* b, std::int64_t ldb, float beta, float* c,
                 std::int64_t ldc) noexcept {
  return dnnl_sgemm(transpose_a ? 'T' : 'N', transpose_b ? 'T' : 'N', m, n, k, alpha, a, lda, b, ldb, beta, c, ldc) ==
         dnnl_success;
}

struct Engine {
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream{engine};
};

inline Engine& engine_of(Context<Cpu>& ctx) {
  return ctx.plan<Engine>("onednn", [] { return checked([] { return Engine(); }, "oneDNN's CPU engine"); });
}

enum class Pass { forward, backward_data, backward_weights };

struct Geometry {
  Shape x, w, y;
  int stride = 1, pad = 0, pad_end = 0;
  bool bias = false;  // forward only
};

inline std::ostream& operator<<(std::ostream& out, const Geometry& g) {
  return out << "x " << g.x << ", weight " << g.w << ", stride " << g.stride << ", padding " << g.pad << " and "
             << g.pad_end;
}

// One convolution of fixed shapes. For one thread at a time, as the context it is made for.
class Convolution {
 public:
  Convolution(Context<Cpu>& ctx, Pass pass, const Geometry& geometry)
      : engine_(&engine_of(ctx)), pass_(pass), geometry_(geometry) {
    const Threads threads(ctx);  // the plan is made for that many
    checked([this] { make(); }, "conv2d of ", geometry);
  }

  // The layout this convolution wants its weights in, or makes their gradient in.
  const dnnl::memory::desc& format() const { return format_; }
  std::size_t format_bytes() const { return format_.get_size(); }
  // That format is the parameter's own: nothing has to be packed.
  bool plain() const { return format_ == plain_format(); }

  // forward: y = x * weights + bias; backward_data: x is written, y read; backward_weights: weights are written.
  // `bias` is read where the geometry says so.
  void run(Context<Cpu>& ctx, const float* x, const float* weights, const float* bias, const float* y) {
    const Threads threads(ctx);
    const auto scratch = ctx.arena.make<std::byte>({.c = static_cast<std::int64_t>(scratch_bytes_)});
    checked(
        [&] {
          x_.set_data_handle(const_cast<float*>(x));
          weights_.set_data_handle(const_cast<float*>(weights));
          y_.set_data_handle(const_cast<float*>(y));
          if (geometry_.bias) bias_.set_data_handle(const_cast<float*>(bias));
          scratch_.set_data_handle(scratch.view().data);
          primitive_.execute(engine_->stream, arguments_);
          engine_->stream.wait();
        },
        "conv2d of ", geometry_);
  }

  // From the plain layout to format(), and back with adding. Other formats: see reorder().
  void pack(const Context<Cpu>& ctx, const float* plain, void* packed) {
    move(ctx, pack_, plain, plain_memory_, packed, weights_);
  }
  void add_unpacked(const Context<Cpu>& ctx, const float* packed, float* plain) {
    move(ctx, add_unpacked_, packed, weights_, plain, plain_memory_);
  }
  void reorder(const Context<Cpu>& ctx, const dnnl::memory::desc& from_format, const void* from, void* to) {
    const Threads threads(ctx);
    checked(
        [&] {
          dnnl::memory source(from_format, engine_->engine, const_cast<void*>(from));
          weights_.set_data_handle(to);
          dnnl::reorder(source, weights_).execute(engine_->stream, source, weights_);
          engine_->stream.wait();
        },
        "packing the weights of conv2d of ", geometry_);
  }

 private:
  using Memory = dnnl::memory;

  // dims in oneDNN's logical order (n or out, c or in, h, w), memory channels last in both cases.
  static Memory::desc channels_last(Shape s) {
    return {{s.n, s.c, s.h, s.w}, Memory::data_type::f32, Memory::format_tag::nhwc};
  }
  Memory::desc plain_format() const {
    const Shape& w = geometry_.w;
    return {{w.n, w.c, w.h, w.w}, Memory::data_type::f32, Memory::format_tag::ohwi};
  }

  void make() {
    using dnnl::algorithm;
    using dnnl::prop_kind;
    const auto& engine = engine_->engine;
    const Geometry& g = geometry_;
    const Memory::desc x = channels_last(g.x), y = channels_last(g.y);
    const Memory::desc w({g.w.n, g.w.c, g.w.h, g.w.w}, Memory::data_type::f32, Memory::format_tag::any);
    const Memory::desc bias =
        g.bias ? Memory::desc({g.w.n}, Memory::data_type::f32, Memory::format_tag::x) : Memory::desc();
    const Memory::dims strides{g.stride, g.stride}, begin{g.pad, g.pad}, end{g.pad_end, g.pad_end};
    constexpr auto kDirect = algorithm::convolution_direct;
    dnnl::primitive_attr attr;
    attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);

    // The backward passes take a forward one as a hint.
    const auto forward = [&](prop_kind kind) {
#if DNNL_VERSION_MAJOR >= 3
      return dnnl::convolution_forward::primitive_desc(engine, kind, kDirect, x, w, bias, y, strides, begin, end, attr);
#else
      return dnnl::convolution_forward::primitive_desc({kind, kDirect, x, w, bias, y, strides, begin, end}, attr,
                                                       engine);
#endif
    };
    switch (pass_) {
      case Pass::forward: {
        const auto pd = forward(prop_kind::forward_inference);
        primitive_ = dnnl::convolution_forward(pd);
        take(pd, pd.weights_desc(), DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST);
        break;
      }
      case Pass::backward_data: {
        const auto hint = forward(prop_kind::forward_training);
#if DNNL_VERSION_MAJOR >= 3
        const dnnl::convolution_backward_data::primitive_desc pd(engine, kDirect, x, w, y, strides, begin, end, hint,
                                                                 attr);
#else
        const dnnl::convolution_backward_data::primitive_desc pd({kDirect, x, w, y, strides, begin, end}, attr, engine,
                                                                 hint);
#endif
        primitive_ = dnnl::convolution_backward_data(pd);
        take(pd, pd.weights_desc(), DNNL_ARG_DIFF_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DIFF_DST);
        break;
      }
      case Pass::backward_weights: {
        const auto hint = forward(prop_kind::forward_training);
#if DNNL_VERSION_MAJOR >= 3
        const dnnl::convolution_backward_weights::primitive_desc pd(engine, kDirect, x, w, y, strides, begin, end, hint,
                                                                    attr);
#else
        const dnnl::convolution_backward_weights::primitive_desc pd({kDirect, x, w, y, strides, begin, end}, attr,
                                                                    engine, hint);
#endif
        primitive_ = dnnl::convolution_backward_weights(pd);
        take(pd, pd.diff_weights_desc(), DNNL_ARG_SRC, DNNL_ARG_DIFF_WEIGHTS, DNNL_ARG_DIFF_DST);
        break;
      }
    }
  }

  // Memory objects without memory, for run() to fill in, and the reorders to and from the chosen format.
  template <class PrimitiveDesc>
  void take(const PrimitiveDesc& pd, const Memory::desc& format, int x, int weights, int y) {
    const auto& engine = engine_->engine;
    const auto empty = [&](const Memory::desc& desc) { return Memory(desc, engine, nullptr); };
    format_ = format;
    x_ = empty(channels_last(geometry_.x));
    weights_ = empty(format);
    y_ = empty(channels_last(geometry_.y));
    scratch_ = empty(pd.scratchpad_desc());
    scratch_bytes_ = pd.scratchpad_desc().get_size();
    arguments_ = {{x, x_}, {weights, weights_}, {y, y_}, {DNNL_ARG_SCRATCHPAD, scratch_}};
    if (geometry_.bias) {
      bias_ = empty({{geometry_.w.n}, Memory::data_type::f32, Memory::format_tag::x});
      arguments_.insert({DNNL_ARG_BIAS, bias_});
    }
    plain_memory_ = empty(plain_format());
    if (pass_ == Pass::backward_weights) {
      dnnl::post_ops add;
      add.append_sum(1.0f);
      dnnl::primitive_attr attr;
      attr.set_post_ops(add);
      add_unpacked_ = dnnl::reorder(dnnl::reorder::primitive_desc(engine, format, engine, plain_format(), attr));
    } else {
      pack_ = dnnl::reorder(dnnl::reorder::primitive_desc(engine, plain_format(), engine, format));
    }
  }

  void move(const Context<Cpu>& ctx, dnnl::reorder& how, const void* from, Memory& source, void* to, Memory& target) {
    const Threads threads(ctx);
    checked(
        [&] {
          source.set_data_handle(const_cast<void*>(from));
          target.set_data_handle(to);
          how.execute(engine_->stream, source, target);
          engine_->stream.wait();
        },
        "packing the weights of conv2d of ", geometry_);
  }

  Engine* engine_;
  Pass pass_;
  Geometry geometry_;
  dnnl::primitive primitive_;
  Memory::desc format_;
  Memory x_, weights_, bias_, y_, scratch_, plain_memory_;
  dnnl::reorder pack_, add_unpacked_;
  std::size_t scratch_bytes_ = 0;
  std::unordered_map<int, Memory> arguments_;
};

// The packed copies of one parameter, one for each format that some convolution wanted.
struct PackedWeights {
  struct Copy {
    dnnl::memory::desc format;
    std::uint64_t version = 0;  // of the parameter's value it holds
    Tensor<float, Cpu> data;
  };
  std::vector<Copy> copies;
  bool plain_in_use = false;  // some convolution reads the plain value itself, possibly right now
};

// The parameter's value in the convolution's format; valid until the parameter changes. Frozen parameters give up their
// plain value for it. Not for narrow storage. Contexts of several threads may share a parameter: one packs at a time.
inline const float* packed_weights(Context<Cpu>& ctx, const Parameter<Cpu>& parameter, Convolution& conv) {
  static std::mutex packing;
  const std::lock_guard<std::mutex> lock(packing);

  auto& slot = parameter.packed();
  if (!slot.data) slot.data = std::make_shared<PackedWeights>();
  auto& weights = *static_cast<PackedWeights*>(slot.data.get());
  if (conv.plain() && parameter.has_plain()) {
    weights.plain_in_use = true;
    return parameter.value().data;
  }

  const std::uint64_t version = parameter.version();
  const auto find = [&](auto&& wanted) -> PackedWeights::Copy* {
    const auto at = std::find_if(weights.copies.begin(), weights.copies.end(), wanted);
    return at == weights.copies.end() ? nullptr : &*at;
  };
  auto* copy = find([&](const auto& c) { return c.format == conv.format(); });
  if (!copy) {
    const auto floats = static_cast<std::int64_t>((conv.format_bytes() + sizeof(float) - 1) / sizeof(float));
    weights.copies.push_back({conv.format(), 0, Tensor<float, Cpu>({.c = floats})});
    copy = &weights.copies.back();
  }
  if (copy->version != version) {
    copy->version = 0;  // parameters count from 1
    if (parameter.has_plain()) {
      conv.pack(ctx, parameter.value().data, copy->data.data());
    } else {
      const auto* source = find([&](const auto& c) { return c.version == version; });
      D3AD_CHECK(source, "parameter '", parameter.name(), "' has no value any more; load the network again");
      conv.reorder(ctx, source->format, source->data.data(), copy->data.data());
    }
    copy->version = slot.version = version;
  }
  if (parameter.frozen() && parameter.has_plain() && !weights.plain_in_use) {
    // What was packed for training, or before the last change, is of no use any more.
    if (weights.copies.size() > 1) {
      PackedWeights::Copy kept = std::move(*copy);
      weights.copies.clear();
      weights.copies.push_back(std::move(kept));
      copy = &weights.copies.back();
    }
    parameter.drop_plain();
  }
  return copy->data.data();
}

}  // namespace d3ad::onednn
