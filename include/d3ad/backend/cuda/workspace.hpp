#pragma once
// Workspace of the libraries: memory of the arena, aligned as they require. And the alignment of operands.
//
//   const cuda::Workspace<T> workspace(ctx, bytes);            // workspace.data() is null if bytes is 0
//   const std::uint32_t aligned = cuda::alignment(pointer);    // 16, or less if the address is no multiple of 16
//
// A workspace may be destroyed as soon as the work that uses it is launched, because the context's stream keeps the
// order.

#include <cstddef>
#include <cstdint>
#include <memory>

#include "d3ad/backend/cuda/context.hpp"

namespace d3ad::cuda {

// Sixteen bytes are the most that a kernel reads or writes at once.
inline std::uint32_t alignment(const void* p) {
  const auto low = static_cast<std::uint32_t>(reinterpret_cast<std::uintptr_t>(p) & 15u);
  return low == 0 ? 16u : low & (~low + 1u);
}

template <class T>
class Workspace {
 public:
  Workspace(Context<CudaOf<T>>& ctx, std::size_t bytes) {
    if (bytes == 0) return;
    std::size_t space = bytes + kAlignment;
    memory_ = make_value<std::byte>(ctx, {.c = static_cast<std::int64_t>(space)});
    data_ = memory_.view().data;
    std::align(kAlignment, bytes, data_, space);
  }
  void* data() const { return data_; }

 private:
  static constexpr std::size_t kAlignment = 256;
  Value<std::byte, CudaOf<T>> memory_;
  void* data_ = nullptr;
};

}  // namespace d3ad::cuda
