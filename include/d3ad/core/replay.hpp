#pragma once
// Work that is repeated on the same memory: a device that can replay work records it once and replays it as a whole.
//
//   Replay<Device> loop;
//   loop.run(ctx, key, [&](Context<Device>& c) { ... ops on c ... });
//
// The body gets a context whose arena is the replay's own. It may use what lies in that arena, what it captured by
// reference in an earlier run under the same key, and parameters that are frozen: if work is replayed, the body is
// not called, and the recorded work reads and writes the same addresses. It must not copy from or to the host.
//
// kReplays says whether a device can replay; backend/cuda/replay.hpp is the variant that does.

#include <string>

#include "d3ad/core/context.hpp"
#include "d3ad/core/tensor.hpp"

namespace d3ad {

template <class Device>
inline constexpr bool kReplays = false;
template <class T>
inline constexpr bool kReplays<CudaOf<T>> = true;

template <class Device>
class Replay {};

}  // namespace d3ad
