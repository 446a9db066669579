#pragma once
// The value types on which everything else is written.
//
//   View<T, Device>    pointer + shape; owns nothing; copied freely; what every op and kernel takes
//   Tensor<T, Device>  owns its memory; moves, never copies; hands out views
//
// The device is part of the type: passing a host pointer to a CUDA op does not compile. Data is dense and channels last
// (core/shape.hpp). A transfer between devices is a named call (copy_to_host, copy_from_host), never implicit.

#include <cstddef>
#include <memory>
#include <type_traits>
#include <utility>

#include "d3ad/core/check.hpp"
#include "d3ad/core/dtype.hpp"
#include "d3ad/core/shape.hpp"

namespace d3ad {

struct Cpu {};
struct Reference {};  // plain loops in double, for verification
template <class T>
struct CudaOf {};  // an NVIDIA GPU whose activations are T
using Cuda = CudaOf<float>;
using CudaHalf = CudaOf<half>;
using CudaBfloat16 = CudaOf<bfloat16>;

// The types in which a device keeps activations (Real) and everything else (Weight): parameters, their gradients and
// moments, statistics, latents that pass through many steps, distances, scores.
template <class Device>
struct Arithmetic {
  using type = float;
  using weight = float;
};
template <>
struct Arithmetic<Reference> {
  using type = double;
  using weight = double;
};
template <class T>
struct Arithmetic<CudaOf<T>> {
  using type = T;
  using weight = float;
};
template <class Device>
using Real = typename Arithmetic<Device>::type;
template <class Device>
using Weight = typename Arithmetic<Device>::weight;

template <class T, class Device>
struct View {
  T* data = nullptr;
  Shape shape{0, 0, 0, 0};

  View() = default;
  View(T* elements, Shape extent) : data(elements), shape(extent) {}
  template <class U>
  requires std::is_same_v<const U, T> View(View<U, Device> writable)
      : data(writable.data), shape(writable.shape) {}  // NOLINT: implicit on purpose

  std::int64_t size() const { return shape.size(); }
  // The same elements under another shape of the same size.
  View reshaped(Shape other) const {
    D3AD_CHECK(other.size() == shape.size(), "reshape: ", shape, " has not as many elements as ", other);
    return {data, other};
  }
  // Images first ... first + count - 1 of the batch.
  View images(std::int64_t first, std::int64_t count) const {
    D3AD_CHECK(first >= 0 && count >= 0 && first + count <= shape.n, "images: ", first, " + ", count, " is outside ",
               shape);
    return {data + first * (shape.h * shape.w * shape.c), {count, shape.h, shape.w, shape.c}};
  }
};

// A read-only operand. Never deduced (the context and the output say what T and Device are), so a writable View
// converts to it at the call.
template <class T, class Device>
using In = View<const std::type_identity_t<T>, std::type_identity_t<Device>>;

// How a device hands out memory. Specialised once per backend, in backend/<device>/memory.hpp:
//   static void* allocate(std::size_t bytes);   64-byte aligned at least; throws Error when there is none
//   static void release(void*) noexcept;
//   static void discard(void*, std::size_t bytes) noexcept;     part of a block, whose contents are not needed any more
//   static void copy_from_host(void* to, const void* from, std::size_t bytes);
//   static void copy_to_host(void* to, const void* from, std::size_t bytes);
//   static std::int64_t allocations();          calls of allocate so far in this process
template <class Device>
struct Memory;

template <class T, class Device>
class Tensor {
 public:
  Tensor() = default;
  explicit Tensor(Shape shape)
      : shape_(shape),
        data_(static_cast<T*>(Memory<Device>::allocate(static_cast<std::size_t>(shape.size()) * sizeof(T)))) {}

  bool empty() const { return data_ == nullptr; }
  Shape shape() const { return shape_; }
  std::int64_t size() const { return shape_.size(); }
  T* data() { return data_.get(); }
  const T* data() const { return data_.get(); }
  View<T, Device> view() { return {data_.get(), shape_}; }
  View<const T, Device> view() const { return {data_.get(), shape_}; }

 private:
  struct Free {
    void operator()(T* p) const noexcept { Memory<Device>::release(p); }
  };
  Shape shape_{0, 0, 0, 0};
  std::unique_ptr<T, Free> data_;
};

// Copies to (or from) host memory; `host` holds as many elements as the view.
template <class T, class Device>
void copy_to_host(T* host, View<const T, Device> from) {
  Memory<Device>::copy_to_host(host, from.data, static_cast<std::size_t>(from.size()) * sizeof(T));
}
template <class T, class Device>
void copy_from_host(View<T, Device> to, const T* host) {
  Memory<Device>::copy_from_host(to.data, host, static_cast<std::size_t>(to.size()) * sizeof(T));
}

}  // namespace d3ad
