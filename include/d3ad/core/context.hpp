#pragma once
// Context<Device>: what an operation needs from its device. Overload resolution on it is the dispatch: no virtual
// function, no `if (cuda)`; a program may hold contexts of both devices. Specialised in backend/<device>/context.hpp.
//
//   Context<Cpu> ctx({.threads = 2});
//   ctx.arena                          Arena<Cpu>
//
// A context is used by one thread at a time. Tensors and weights may be shared between contexts for reading.

#include "d3ad/core/compiled.hpp"

namespace d3ad {

template <class Device>
class Context;

}  // namespace d3ad
