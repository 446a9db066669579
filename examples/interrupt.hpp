#pragma once
// Ctrl-C (and a polite kill) as a flag that long work looks at.
//
//   InterruptGuard guard;                        // from here on, until it goes
//   while (!guard.interrupted()) step();
//
// The first signal sets the flag; a second one ends the program at once, as it would have without the guard.

#include <csignal>

namespace command_line {

class InterruptGuard {
 public:
  InterruptGuard() {
    flag() = 0;
    struct sigaction action {};
    action.sa_handler = &InterruptGuard::handle;
    sigemptyset(&action.sa_mask);
    action.sa_flags = static_cast<int>(SA_RESETHAND);  // the second one is the default action
    ::sigaction(SIGINT, &action, &old_interrupt_);
    ::sigaction(SIGTERM, &action, &old_terminate_);
  }
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;
  ~InterruptGuard() {
    ::sigaction(SIGINT, &old_interrupt_, nullptr);
    ::sigaction(SIGTERM, &old_terminate_, nullptr);
  }

  static bool interrupted() { return flag() != 0; }

 private:
  static volatile std::sig_atomic_t& flag() {
    static volatile std::sig_atomic_t value = 0;
    return value;
  }
  static void handle(int) { flag() = 1; }

  struct sigaction old_interrupt_ {};
  struct sigaction old_terminate_ {};
};

}  // namespace command_line
