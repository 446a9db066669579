#pragma once
// Groups of threads: what several processes do, in one, so that it can be tested without mpirun.
//
//   test::in_threads(3, [](Group& group) { ... });      // each thread is one process; throws the first one's exception
//
// Calls meet at a barrier; a sum is done when the last one has started it, seen at its owner's next look.

#include <barrier>
#include <condition_variable>
#include <cstring>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "d3ad/parallel/group.hpp"

namespace d3ad::test {

// What the threads of one group share.
struct Meeting {
  explicit Meeting(int size) : barrier(size), texts(static_cast<std::size_t>(size)) {}
  std::barrier<> barrier;
  std::vector<std::string> texts;
  std::mutex mutex;
  std::map<std::pair<int, int>, std::map<int, std::vector<float>>> sums;  // by sum and round: everybody's numbers
};

class ThreadGroup : public Group {
 public:
  ThreadGroup(Meeting& meeting, int rank) : meeting_(meeting), rank_(rank) {}

  int rank() const override { return rank_; }
  int size() const override { return static_cast<int>(meeting_.texts.size()); }

  using Group::broadcast;
  void broadcast(void* data, std::size_t bytes, int from = 0) override {
    const auto all = all_gather(std::string(static_cast<const char*>(data), bytes));
    std::memcpy(data, all[static_cast<std::size_t>(from)].data(), bytes);
  }
  std::vector<std::string> gather(std::string mine) override {
    auto all = all_gather(std::move(mine));
    return first() ? all : std::vector<std::string>();
  }
  std::vector<std::string> all_gather(std::string mine) override {
    meeting_.texts[static_cast<std::size_t>(rank_)] = std::move(mine);
    meeting_.barrier.arrive_and_wait();
    auto all = meeting_.texts;
    meeting_.barrier.arrive_and_wait();
    return all;
  }
  std::unique_ptr<Sum> make_sum(std::size_t count) override {
    return std::make_unique<ThreadSum>(*this, count, sums_++);
  }

  int started() const { return started_; }  // sums so far

 private:
  class ThreadSum : public Sum {
   public:
    ThreadSum(ThreadGroup& group, std::size_t count, int number) : group_(group), data_(count), number_(number) {}
    float* data() override { return data_.data(); }
    void start() override {
      ++round_, ++group_.started_;
      running_ = true;
      const std::lock_guard lock(group_.meeting_.mutex);
      group_.meeting_.sums[{number_, round_}][group_.rank_] = data_;
    }
    bool progress() override {
      if (!running_) return true;
      const std::lock_guard lock(group_.meeting_.mutex);
      const auto& parts = group_.meeting_.sums[{number_, round_}];
      if (static_cast<int>(parts.size()) < group_.size()) return false;
      for (std::size_t i = 0; i < data_.size(); ++i) {
        double sum = 0;
        for (const auto& [rank, part] : parts) sum += double{part[i]};
        data_[i] = static_cast<float>(sum);
      }
      running_ = false;
      return true;
    }

   private:
    ThreadGroup& group_;
    std::vector<float> data_;
    int number_, round_ = 0;
    bool running_ = false;
  };

  Meeting& meeting_;
  int rank_, sums_ = 0, started_ = 0;
};

// An exception in one thread is passed on only where all of them end, as they do when all have the same.
template <class F>
void in_threads(int count, F&& f) {
  Meeting meeting(count);
  std::vector<std::exception_ptr> errors(static_cast<std::size_t>(count));
  std::vector<std::thread> threads;
  for (int rank = 0; rank < count; ++rank)
    threads.emplace_back([&, rank] {
      try {
        ThreadGroup group(meeting, rank);
        f(group);
      } catch (...) {
        errors[static_cast<std::size_t>(rank)] = std::current_exception();
      }
    });
  for (auto& thread : threads) thread.join();
  for (const auto& error : errors)
    if (error) std::rethrow_exception(error);
}

}  // namespace d3ad::test
