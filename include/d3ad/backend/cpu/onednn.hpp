#pragma once
// oneDNN for the CPU's operations. Only this file uses its API, and only this file treats 2.x (Debian's) and 3.x
// differently.
//
//   onednn::Threads threads(ctx);                                // this thread's calls use ctx.threads() threads
//   onednn::gemm(false, true, m, n, k, 1.0f, a, k, b, k, 0.0f, c, n);           // C = A B^T, row-major
//   auto& conv = onednn::convolution_of(ctx, onednn::Pass::forward, geometry);  // made once, kept by the context
//   conv.run(ctx, x, weights, bias, y);                          // weights in conv.format() (packed_weights.hpp)
//
// Tensors are channels last inside and outside of oneDNN; only weights change their layout. All memory is ours: scratch
// comes from the context's arena, packed weights from Memory<Cpu>. No function throws dnnl::error: failures are Errors
// that say what oneDNN could not do.

#include <omp.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <oneapi/dnnl/dnnl.hpp>
#include <ostream>
#include <unordered_map>
#include <vector>

#include "d3ad/backend/cpu/context.hpp"
#include "d3ad/core/keyed_cache.hpp"

namespace d3ad::onednn {

// oneDNN asks OpenMP for the number of threads. That setting belongs to the calling thread; it is restored at the end.
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

// Runs `work`. An exception of oneDNN becomes an Error that begins with `what...`.
template <class Work, class... What>
decltype(auto) checked(Work&& work, const What&... what) {
  try {
    return work();
  } catch (const dnnl::error& error) {
    fail(what..., ": oneDNN failed: ", error.what(), " (status ", static_cast<int>(error.status), ')');
  }
}

// C [m, n] = alpha op(A) op(B) + beta C, row-major; op transposes or not; lda, ldb, ldc are the steps between rows in
// memory. Returns false if oneDNN failed, which means that it ran out of memory. It never throws, so it may be called
// in a parallel region, where it uses the calling thread only.
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
  return ctx.kept<Engine>([] { return checked([] { return Engine(); }, "oneDNN's CPU engine"); });
}

// Whether the processor multiplies bfloat16 (AVX512-BF16 or AMX). On others oneDNN computes with it too, but slowly.
inline bool has_bfloat16() {
  const auto isa = static_cast<unsigned>(dnnl::get_effective_cpu_isa());
  const auto needed = static_cast<unsigned>(dnnl::cpu_isa::avx512_core_bf16);
  return isa != static_cast<unsigned>(dnnl::cpu_isa::all) && (isa & needed) == needed;
}

inline dnnl::memory::data_type type_of(const dnnl::memory::desc& desc) {
#if DNNL_VERSION_MAJOR >= 3
  return desc.get_data_type();
#else
  return desc.data_type();
#endif
}

enum class Pass { forward, backward_data, backward_weights };

struct Geometry {
  Shape x, w, y;
  int stride = 1, pad = 0, pad_end = 0;
  bool bias = false;      // forward only
  bool bfloat16 = false;  // x and weights; forward only. y and bias are float, and so are the sums
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
    const Threads threads(ctx);  // the primitive is made for this number
    checked([this] { make(); }, "conv2d of ", geometry);
  }

  // The layout in which this convolution reads its weights, or writes their gradient.
  const dnnl::memory::desc& format() const { return format_; }
  std::size_t format_bytes() const { return format_.get_size(); }
  // Whether this is the plain layout, so that nothing has to be packed.
  bool plain() const { return format_ == plain_format(); }

  // forward: y = x * weights + bias; backward_data: x is written, y read; backward_weights: weights are written.
  // `bias` is read if geometry.bias is set. x is bfloat16 if geometry.bfloat16 is set.
  void run(Context<Cpu>& ctx, const void* x, const float* weights, const float* bias, const float* y) {
    const Threads threads(ctx);
    const auto scratch = make_value<std::byte>(ctx, {.c = static_cast<std::int64_t>(scratch_bytes_)});
    checked(
        [&] {
          x_.set_data_handle(const_cast<void*>(x));
          weights_.set_data_handle(const_cast<float*>(weights));
          y_.set_data_handle(const_cast<float*>(y));
          if (geometry_.bias) bias_.set_data_handle(const_cast<float*>(bias));
          scratch_.set_data_handle(scratch.view().data);
          primitive_.execute(engine_->stream, arguments_);
          engine_->stream.wait();
        },
        "conv2d of ", geometry_);
  }

  // From the plain layout to format(); and back, added to what is there.
  void pack(const Context<Cpu>& ctx, const float* plain, void* packed) {
    move(ctx, pack_, plain, plain_memory_, packed, weights_);
  }
  void add_unpacked(const Context<Cpu>& ctx, const float* packed, float* plain) {
    move(ctx, add_unpacked_, packed, weights_, plain, plain_memory_);
  }

 private:
  using Memory = dnnl::memory;

  // dims in oneDNN's logical order (n or out, c or in, h, w), memory channels last in both cases.
  static Memory::desc channels_last(Shape s, Memory::data_type type = Memory::data_type::f32) {
    return {{s.n, s.c, s.h, s.w}, type, Memory::format_tag::nhwc};
  }
  Memory::data_type operand() const { return geometry_.bfloat16 ? Memory::data_type::bf16 : Memory::data_type::f32; }
  Memory::desc plain_format() const {
    const Shape& w = geometry_.w;
    return {{w.n, w.c, w.h, w.w}, Memory::data_type::f32, Memory::format_tag::ohwi};
  }

  void make() {
    using dnnl::algorithm;
    using dnnl::prop_kind;
    const auto& engine = engine_->engine;
    const Geometry& g = geometry_;
    const Memory::desc x = channels_last(g.x, operand()), y = channels_last(g.y);
    const Memory::desc w({g.w.n, g.w.c, g.w.h, g.w.w}, operand(), Memory::format_tag::any);
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

  // Memory objects whose memory run() sets, and the reorders to and from the chosen format.
  template <class PrimitiveDesc>
  void take(const PrimitiveDesc& pd, const Memory::desc& format, int x, int weights, int y) {
    const auto& engine = engine_->engine;
    const auto empty = [&](const Memory::desc& desc) { return Memory(desc, engine, nullptr); };
    format_ = format;
    x_ = empty(channels_last(geometry_.x, operand()));
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

// The context's convolution of these shapes, made at the first call.
inline Convolution& convolution_of(Context<Cpu>& ctx, Pass pass, const Geometry& g) {
  struct Key {
    Shape x, w, y;
    std::int64_t pass, stride, pad, pad_end, bias, bfloat16;
    bool operator==(const Key&) const = default;
  };
  const Key key{g.x, g.w, g.y, static_cast<std::int64_t>(pass), g.stride, g.pad, g.pad_end, g.bias, g.bfloat16};
  return ctx.kept<KeyedCache<Convolution, Key>>().get(key, [&] { return Convolution(ctx, pass, g); });
}

// Converts weights in the format of a convolution back to w {n = out, h = k, w = k, c = in}.
inline void unpack(Context<Cpu>& ctx, Shape w, const dnnl::memory::desc& format, const void* packed, float* plain) {
  const Threads threads(ctx);
  checked(
      [&] {
        auto& on = engine_of(ctx);
        const dnnl::memory::desc desc({w.n, w.c, w.h, w.w}, dnnl::memory::data_type::f32,
                                      dnnl::memory::format_tag::ohwi);
        dnnl::memory from(format, on.engine, const_cast<void*>(packed)), to(desc, on.engine, plain);
        dnnl::reorder(from, to).execute(on.stream, from, to);
        on.stream.wait();
      },
      "unpacking weights ", w);
}

}  // namespace d3ad::onednn
