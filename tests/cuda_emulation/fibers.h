#pragma once
// The threads of one block as fibers of one host thread: see cuda_runtime.h.
//
// A fiber runs threads one after the other until one of them waits; so a kernel without barriers costs no change of
// stacks. When all threads that are not done wait, those whose barrier is complete go on.

#if !defined(__x86_64__)
#include <ucontext.h>
#endif

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <functional>
#include <memory>
#include <stdexcept>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#define D3AD_FIBER_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#include <sanitizer/common_interface_defs.h>
#define D3AD_FIBER_ASAN 1
#endif
#endif

namespace emulation {

// A place to go on from, on a stack of its own. ucontext saves the signal mask too, by a system call for each change:
// nine tenths of the time of a test. So on x86-64 what the calling convention keeps is pushed, and the stacks changed.
#if defined(__x86_64__)
class Place {
 public:
  void begin(char* stack, std::size_t bytes, void (*body)()) {
    auto** top = reinterpret_cast<void**>((reinterpret_cast<std::uintptr_t>(stack) + bytes) / 16 * 16);
    *--top = nullptr;
    *--top = reinterpret_cast<void*>(body);
    for (int i = 0; i < 6; ++i) *--top = nullptr;
    at_ = top;
  }
  void go_to(const Place& other) { change(&at_, other.at_); }

 private:
  __attribute__((naked, noinline)) static void change(void** /*from*/, void* /*to*/) {
    asm("push %rbp\n push %rbx\n push %r12\n push %r13\n push %r14\n push %r15\n"
        "mov %rsp, (%rdi)\n mov %rsi, %rsp\n"
        "pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbx\n pop %rbp\n ret");
  }
  void* at_ = nullptr;
};
#else
class Place {
 public:
  void begin(char* stack, std::size_t bytes, void (*body)()) {
    getcontext(&context_);
    context_.uc_stack.ss_sp = stack;
    context_.uc_stack.ss_size = bytes;
    context_.uc_link = nullptr;
    makecontext(&context_, body, 0);
  }
  void go_to(const Place& other) { swapcontext(&context_, &other.context_); }

 private:
  ucontext_t context_{};
};
#endif

class Block {
 public:
  static Block& present() {
    static Block block;
    return block;
  }

  // body(thread) for threads 0 ... count - 1, in an order that may be turned round.
  void run(int count, std::size_t shared, bool backwards, const std::function<void(int)>& body) {
    body_ = &body;
    count_ = count, backwards_ = backwards, started_ = done_ = 0;
    error_ = nullptr;
    shared_.assign((shared + 15) / 16 + 1, Chunk{});
    std::memset(static_cast<void*>(shared_.data()), 0xff, shared_.size() * sizeof(Chunk));
    wait_.assign(static_cast<std::size_t>(count), Wait::none);
    exchanged_.assign(2 * static_cast<std::size_t>(count), 0);
    turn_.assign(static_cast<std::size_t>(count), 0);
    finished_.assign(static_cast<std::size_t>(count), false);
    while (done_ < count_) {
      Fiber* fiber = nullptr;
      if (!ready_.empty()) {
        fiber = ready_.front();
        ready_.pop_front();
      } else if (started_ < count_) {
        fiber = idle_fiber();
      } else {
        release();
        continue;
      }
      resume(*fiber);
      if (error_) {
        parked_.clear(), ready_.clear(), idle_.clear(), fibers_.clear();  // of no use any more
        std::rethrow_exception(error_);
      }
    }
  }

  int thread() const { return running_->thread; }
  void* shared() { return shared_.data(); }
  void wait_for_block() { wait(Wait::block); }
  void wait_for_warp() { wait(Wait::warp); }
  // The value that thread `lane` of the calling thread's warp hands over; its own where there is no such thread. Two
  // slots a thread, in turns: nobody is more than one exchange ahead.
  template <class T>
  T exchange(T value, int lane) {
    const int self = thread(), of = self / 32 * 32 + lane;
    const auto turn = static_cast<std::size_t>(turn_[static_cast<std::size_t>(self)]++ % 2) * wait_.size();
    std::uint64_t bits = 0;
    std::memcpy(&bits, &value, sizeof(T));
    exchanged_[turn + static_cast<std::size_t>(self)] = bits;
    wait(Wait::warp);
    const bool there = of < count_ && turn_[static_cast<std::size_t>(of)] > 0;
    bits = exchanged_[turn + static_cast<std::size_t>(there ? of : self)];
    std::memcpy(&value, &bits, sizeof(T));
    return value;
  }

 private:
  enum class Wait : char { none, warp, block };
  struct alignas(16) Chunk {
    unsigned char bytes[16];
  };
  struct Fiber {
    Place place;
    std::unique_ptr<char[]> stack;
    int thread = -1;
    void* fake_stack = nullptr;
  };
  static constexpr std::size_t kStack = 256 * 1024;

  Fiber* idle_fiber() {
    if (idle_.empty()) {
      auto fiber = std::make_unique<Fiber>();
      fiber->stack.reset(new char[kStack]);
      idle_.push_back(fiber.get());
      fibers_.push_back(std::move(fiber));
    }
    Fiber* const fiber = idle_.back();
    idle_.pop_back();
    fiber->fake_stack = nullptr;
    fiber->place.begin(fiber->stack.get(), kStack, &Block::work);
    return fiber;
  }

  static void work() {
    Block& block = present();
    block.arrived();
    try {
      while (block.started_ < block.count_) {
        const int i = block.started_++;
        const int thread = block.backwards_ ? block.count_ - 1 - i : i;
        block.running_->thread = thread;
        (*block.body_)(thread);
        block.finished_[static_cast<std::size_t>(thread)] = true;
        ++block.done_;
      }
    } catch (...) {
      block.error_ = std::current_exception();
    }
    block.idle_.push_back(block.running_);
    block.leave(/*for_good=*/true);
  }

  void wait(Wait what) {
    wait_[static_cast<std::size_t>(thread())] = what;
    parked_.push_back(running_);
    leave(false);
  }

  // Lets those go on whose barrier is complete: every thread of the warp, or of the block, waits there or is done.
  void release() {
    std::vector<bool> warp_waits(static_cast<std::size_t>(count_ + 31) / 32, true);
    bool block_waits = true;
    for (int t = 0; t < count_; ++t) {
      if (finished_[static_cast<std::size_t>(t)]) continue;
      const Wait w = wait_[static_cast<std::size_t>(t)];
      if (w != Wait::block) block_waits = false;
      if (w != Wait::warp) warp_waits[static_cast<std::size_t>(t) / 32] = false;
    }
    std::deque<Fiber*> rest;
    for (Fiber* fiber : parked_) {
      Wait& w = wait_[static_cast<std::size_t>(fiber->thread)];
      if ((w == Wait::block && block_waits) ||
          (w == Wait::warp && warp_waits[static_cast<std::size_t>(fiber->thread) / 32])) {
        w = Wait::none;
        ready_.push_back(fiber);
      } else {
        rest.push_back(fiber);
      }
    }
    parked_.swap(rest);
    if (ready_.empty()) throw std::logic_error("a kernel's threads wait at different barriers");
  }

  void resume(Fiber& fiber) {
    running_ = &fiber;
#if defined(D3AD_FIBER_ASAN)
    void* own = nullptr;
    __sanitizer_start_switch_fiber(&own, fiber.stack.get(), kStack);
    scheduler_.go_to(fiber.place);
    __sanitizer_finish_switch_fiber(own, nullptr, nullptr);
#else
    scheduler_.go_to(fiber.place);
#endif
  }
  void arrived() {
#if defined(D3AD_FIBER_ASAN)
    __sanitizer_finish_switch_fiber(running_->fake_stack, &scheduler_stack_, &scheduler_size_);
#endif
  }
  void leave(bool for_good) {
    Fiber* const self = running_;
#if defined(D3AD_FIBER_ASAN)
    __sanitizer_start_switch_fiber(for_good ? nullptr : &self->fake_stack, scheduler_stack_, scheduler_size_);
#else
    (void)for_good;
#endif
    self->place.go_to(scheduler_);
    arrived();
  }

  const std::function<void(int)>* body_ = nullptr;
  int count_ = 0, started_ = 0, done_ = 0;
  bool backwards_ = false;
  std::exception_ptr error_;
  std::vector<Chunk> shared_;
  std::vector<Wait> wait_;
  std::vector<std::uint64_t> exchanged_;
  std::vector<unsigned> turn_;
  std::vector<bool> finished_;
  std::vector<std::unique_ptr<Fiber>> fibers_;
  std::vector<Fiber*> idle_;
  std::deque<Fiber*> ready_, parked_;
  Fiber* running_ = nullptr;
  Place scheduler_;
#if defined(D3AD_FIBER_ASAN)
  const void* scheduler_stack_ = nullptr;
  std::size_t scheduler_size_ = 0;
#endif
};

}  // namespace emulation
